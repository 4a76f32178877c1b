//! What can be measured, and which of it was asked for.

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The least ratio to the limit, where it is one ratio.
    pub(crate) bound: Option<f64>,
    /// Ours and the limit in one line.
    pub(crate) what: &'static str,
}

/// A ratio that is held to a bound.
pub(crate) const fn case(name: &'static str, bound: f64, what: &'static str) -> Case {
    let bound = Some(bound);
    Case { name, bound, what }
}

/// Figures that say something by themselves.
pub(crate) const fn figures(name: &'static str, what: &'static str) -> Case {
    let bound = None;
    Case { name, bound, what }
}

/// Which cases were asked for, by what follows `--`.
pub(crate) struct Wanted(Vec<&'static str>);

impl Wanted {
    /// A name is itself; what is no name is a part of some. Without any, all but those that the
    /// size has no time for.
    pub(crate) fn of(cases: &[Case], asked: &[String], too_long: &[&str]) -> Result<Self, String> {
        let names = || cases.iter().map(|case| case.name);
        if asked.is_empty() {
            return Ok(Self(
                names().filter(|name| !too_long.contains(name)).collect(),
            ));
        }
        let mut wanted = Vec::new();
        for asked in asked {
            let before = wanted.len();
            match names().find(|name| name == asked) {
                Some(name) => wanted.push(name),
                None => wanted.extend(names().filter(|name| name.contains(asked.as_str()))),
            }
            if wanted.len() == before {
                let names: Vec<_> = names().collect();
                let names = names.join(", ");
                return Err(format!("nothing is called `{asked}`; there are {names}"));
            }
        }
        Ok(Self(wanted))
    }

    /// Whether the case was asked for.
    pub(crate) fn has(&self, case: &Case) -> bool {
        self.0.contains(&case.name)
    }
}
