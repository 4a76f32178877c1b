/// What a decision or a mapping may answer: one event, an `Option`, an array or a `Vec`.
///
/// ```
/// use es_runtime::aggregate::IntoEvents;
/// assert_eq!(IntoEvents::<i32>::into_events(7), [7]);
/// assert!(IntoEvents::<i32>::into_events(None::<i32>).is_empty());
/// assert_eq!(IntoEvents::<i32>::into_events([1, 2]), [1, 2]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer with events",
    note = "answer one event, or an `Option`, an array or a `Vec` of events"
)]
pub trait IntoEvents<E> {
    /// The events in order.
    fn into_events(self) -> Vec<E>;
}

impl<E> IntoEvents<E> for E {
    fn into_events(self) -> Vec<E> {
        vec![self]
    }
}

impl<E> IntoEvents<E> for Option<E> {
    fn into_events(self) -> Vec<E> {
        self.into_iter().collect()
    }
}

impl<E> IntoEvents<E> for Vec<E> {
    fn into_events(self) -> Vec<E> {
        self
    }
}

impl<E, const N: usize> IntoEvents<E> for [E; N] {
    fn into_events(self) -> Vec<E> {
        self.into()
    }
}
