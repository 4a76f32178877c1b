//! Attributes: tokens in, options with their places out. What is unknown, said twice, misplaced,
//! malformed or missing is reported here, all of it at once.

pub(crate) mod inventory;
pub(crate) mod serde;
mod similar;
pub(crate) mod split;
mod value;

use std::path::PathBuf;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Attribute, LitStr, Meta, Type};

use crate::diag::{self, Errors};
use inventory::Spec;
pub(crate) use inventory::{Inventory, Place};
pub(crate) use similar::closest;
use split::{Part, split};
pub(crate) use value::{Became, Columns, Listed, Number};
use value::{Value, value_of};

/// What the attributes of one item, variant or field say.
pub(crate) struct Options {
    inventory: &'static Inventory,
    /// Where the attribute stands, or should: what a missing option points at.
    place: Span,
    said: Vec<Said>,
    /// Names that were said, but not so that they could be read. They are not missing.
    broken: Vec<&'static str>,
    /// Whether something was said that may have been any option. None is missing after that.
    unreadable: bool,
    /// Whether there was an option that nobody knows.
    unknown: bool,
    /// The attributes that are a change each, in the order in which they stand.
    changes: Vec<Options>,
    /// The file in which they stand, if there is one.
    pub(crate) source: Option<PathBuf>,
}

/// One option with its value.
struct Said {
    name: &'static str,
    key: Ident,
    value: Value,
}

impl Options {
    /// Reads all of `attrs` that belong to the derive. `owner` carries them.
    pub(crate) fn read(
        errors: &Errors,
        inventory: &'static Inventory,
        place: Place,
        attrs: &[Attribute],
        owner: &Ident,
    ) -> Self {
        let ours = || {
            attrs
                .iter()
                .filter(|attr| attr.path().is_ident(inventory.attribute))
        };
        let first = ours().next().and_then(|attr| attr.path().get_ident());
        let span = first.unwrap_or(owner).span();
        let mut options = Self::new(inventory, span);
        for attr in ours() {
            options.attribute(errors, place, &attr.meta);
        }
        options
    }

    fn new(inventory: &'static Inventory, place: Span) -> Self {
        Self {
            inventory,
            place,
            said: Vec::new(),
            broken: Vec::new(),
            unreadable: false,
            unknown: false,
            changes: Vec::new(),
            source: None,
        }
    }

    fn attribute(&mut self, errors: &Errors, place: Place, meta: &Meta) {
        let parts = match meta {
            Meta::Path(_) => return,
            Meta::List(list) => split(list.tokens.clone()),
            Meta::NameValue(_) => Vec::new(),
        };
        let mut change = None;
        if self.is_change(place, &parts) {
            let at = meta.path().get_ident().map_or(self.place, Ident::span);
            change = Some(Self::new(self.inventory, at));
        }
        let mut reader = Reader {
            errors,
            place: change.as_ref().map_or(place, |_| place.changes()),
            options: change.as_mut().unwrap_or(self),
        };
        match meta {
            Meta::NameValue(pair) => reader.malformed(pair),
            _ => parts.iter().for_each(|part| reader.part(part)),
        }
        self.changes.extend(change);
    }

    /// Whether an attribute speaks of a change: it has a word that only changes have, or looks as
    /// if.
    fn is_change(&self, place: Place, parts: &[Part]) -> bool {
        let names = |place| self.inventory.at(place).iter().map(|spec| spec.name);
        let plain = |name: &str| names(place).any(|known| known == name);
        let changes = || names(place.changes()).filter(|name| !plain(name));
        parts
            .iter()
            .filter_map(|part| part.key.as_ref())
            .any(|key| {
                let name = key.unraw().to_string();
                !plain(&name) && closest(&name, changes()).is_some()
            })
    }

    /// What the place's attributes say of changes, in the order in which they stand.
    pub(crate) fn changes(&self) -> &[Options] {
        &self.changes
    }

    pub(crate) fn text(&self, name: &str) -> Option<&LitStr> {
        self.texts(name).next()
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &LitStr> {
        self.values(name).filter_map(|value| {
            if let Value::Text(text) = value {
                Some(text)
            } else {
                None
            }
        })
    }

    pub(crate) fn version(&self, name: &str) -> Option<u32> {
        self.values(name).find_map(|value| {
            if let Value::Version(n) = value {
                Some(*n)
            } else {
                None
            }
        })
    }

    pub(crate) fn parts(&self, name: &str) -> Option<u16> {
        self.values(name).find_map(|value| {
            if let Value::Parts(n) = value {
                Some(*n)
            } else {
                None
            }
        })
    }

    /// A type, or the path of a function.
    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        self.types(name).next()
    }

    pub(crate) fn types(&self, name: &str) -> impl Iterator<Item = &Type> {
        self.values(name).filter_map(|value| {
            if let Value::Type(ty) = value {
                Some(&**ty)
            } else {
                None
            }
        })
    }

    /// The expression behind `default`, if it is said, and if there is one.
    pub(crate) fn default(&self, name: &str) -> Option<Option<&TokenStream>> {
        self.values(name).find_map(|value| {
            if let Value::Default(expression) = value {
                Some(expression.as_ref())
            } else {
                None
            }
        })
    }

    pub(crate) fn listed(&self, name: &str) -> Option<&Listed> {
        self.values(name).find_map(|value| {
            if let Value::Listed(listed) = value {
                Some(listed)
            } else {
                None
            }
        })
    }

    /// The name behind an option.
    pub(crate) fn ident(&self, name: &str) -> Option<&Ident> {
        self.values(name).find_map(|value| {
            if let Value::Name(ident) = value {
                Some(ident)
            } else {
                None
            }
        })
    }

    /// Fields that are named together, with the option that names them.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, &Columns)> {
        self.said.iter().filter_map(|said| {
            if let Value::Columns(columns) = &said.value {
                Some((said.name, columns))
            } else {
                None
            }
        })
    }

    /// The versions of which something is said.
    pub(crate) fn numbers(&self, name: &str) -> impl Iterator<Item = &Number> {
        self.values(name).filter_map(|value| {
            if let Value::Number(number) = value {
                Some(number)
            } else {
                None
            }
        })
    }

    /// The word itself, to point at.
    pub(crate) fn key(&self, name: &str) -> Option<&Ident> {
        let said = self.said.iter().find(|said| said.name == name);
        said.map(|said| &said.key)
    }

    pub(crate) fn inventory(&self) -> &'static Inventory {
        self.inventory
    }

    /// Where the attribute stands.
    pub(crate) fn place(&self) -> Span {
        self.place
    }

    /// Whether all that was said could be read: rules about what is missing hold only then.
    pub(crate) fn is_readable(&self) -> bool {
        !self.unreadable && !self.unknown && self.broken.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether an option was meant, however it was said.
    pub(crate) fn attempts(&self, name: &str) -> bool {
        self.has(name) || self.broken.contains(&name)
    }

    /// Reports those of `names` that were not said, in one error: they go into one attribute.
    pub(crate) fn require(&self, errors: &Errors, names: &[&str]) {
        let silent = |spec: &&Spec| names.contains(&spec.name) && !self.attempts(spec.name);
        let missing: Vec<&Spec> = self.inventory.item.iter().filter(silent).collect();
        if !missing.is_empty() && !self.unreadable {
            errors.push(diag::missing_options(self.inventory, &missing, self.place));
        }
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.said
            .iter()
            .filter(move |said| said.name == name)
            .map(|said| &said.value)
    }
}

/// Reads the options of one place, one part at a time.
struct Reader<'a> {
    errors: &'a Errors,
    place: Place,
    options: &'a mut Options,
}

impl Reader<'_> {
    fn part(&mut self, part: &Part) {
        let inventory = self.options.inventory;
        let Some(key) = &part.key else {
            return self.malformed(part);
        };
        let name = key.unraw().to_string();
        let known = inventory.at(self.place);
        let Some(spec) = known.iter().find(|spec| spec.name == name) else {
            let meant = closest(&name, known.iter().map(|spec| spec.name));
            // A misspelt option is one mistake: it is not missing as well.
            self.options.broken.extend(meant);
            self.options.unknown = true;
            return self
                .errors
                .push(match inventory.place_of(&name, self.place) {
                    Some(home) => diag::misplaced_option(inventory, key, self.place, home),
                    None => diag::unknown_option(inventory, key, self.place, meant),
                });
        };
        let options = &mut self.options;
        if !spec.repeats && options.attempts(spec.name) {
            return self.errors.push(diag::duplicate_option(inventory, key));
        }
        match value_of(spec, key, part) {
            Ok((value, rest)) => {
                let (name, key) = (spec.name, key.clone());
                options.said.push(Said { name, key, value });
                if !rest.is_empty() {
                    self.errors
                        .push(diag::missing_comma(inventory, spec, &rest));
                    // What stands there for no reason is no option, and was told.
                    let is_option = |part: &&Part| {
                        let key = part.key.as_ref();
                        key.is_some_and(|key| known.iter().any(|spec| key == spec.name))
                    };
                    let parts = split(rest);
                    let behind = parts.iter().skip(1);
                    let first = parts.first().into_iter().filter(is_option);
                    first.chain(behind).for_each(|part| self.part(part));
                }
            }
            Err(error) => {
                options.broken.push(spec.name);
                self.errors.push(error);
            }
        }
    }

    fn malformed(&mut self, at: &impl ToTokens) {
        let inventory = self.options.inventory;
        self.options.unreadable = true;
        self.errors.push(diag::malformed(inventory, self.place, at));
    }
}
