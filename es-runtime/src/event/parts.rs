/// What one stored event is today: one event as a rule; none, or several, where its history says
/// that it was dropped or split. The parts share position and version.
#[derive(Clone, Debug)]
pub struct Parts<E>(Form<E>);

#[derive(Clone, Debug)]
enum Form<E> {
    One(Option<E>),
    Many(std::vec::IntoIter<E>),
}

impl<E> Parts<E> {
    pub(crate) fn none() -> Self {
        Self(Form::One(None))
    }

    pub(crate) fn one(event: E) -> Self {
        Self(Form::One(Some(event)))
    }

    pub(crate) fn many(events: Vec<E>) -> Self {
        Self(Form::Many(events.into_iter()))
    }

    /// The one event, if there is one, as a rule; or what there is.
    pub(crate) fn single(self) -> Result<E, Self> {
        match self.0 {
            Form::One(Some(event)) => Ok(event),
            other => Err(Self(other)),
        }
    }

    /// Each of them made into something else, by its number.
    pub(crate) fn with_each<T>(self, mut make: impl FnMut(u32, E) -> T) -> Parts<T> {
        Parts(match self.0 {
            Form::One(event) => Form::One(event.map(|event| make(0, event))),
            Form::Many(events) => {
                let made: Vec<_> = (0..).zip(events).map(|(n, event)| make(n, event)).collect();
                Form::Many(made.into_iter())
            }
        })
    }
}

impl<E> Iterator for Parts<E> {
    type Item = E;

    #[inline]
    fn next(&mut self) -> Option<E> {
        match &mut self.0 {
            Form::One(event) => event.take(),
            Form::Many(events) => events.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Form::One(event) => usize::from(event.is_some()),
            Form::Many(events) => events.len(),
        };
        (left, Some(left))
    }
}

impl<E> ExactSizeIterator for Parts<E> {}
