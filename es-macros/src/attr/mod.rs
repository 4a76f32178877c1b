//! Attributes: tokens in, options with their places out. What is unknown, said twice, misplaced,
//! malformed or missing is reported here, all of it at once.

pub(crate) mod inventory;
pub(crate) mod serde;
mod similar;
mod split;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, LitInt, LitStr, Meta, Type};

use crate::diag::{self, Errors};
pub(crate) use inventory::{Inventory, Place};
use inventory::{Kind, Spec};
use similar::closest;
use split::{Part, split};

/// What the attributes of one item, variant or field say.
pub(crate) struct Options {
    inventory: &'static Inventory,
    /// Where the attribute stands, or should: what a missing option points at.
    place: Span,
    said: Vec<(&'static str, Value)>,
    /// Names that were said, but not so that they could be read. They are not missing.
    broken: Vec<&'static str>,
    /// Whether something was said that may have been any option. None is missing after that.
    unreadable: bool,
}

enum Value {
    Text(LitStr),
    Version(u32),
    Type(Box<Type>),
    Present,
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
        let mut options = Self {
            inventory,
            place: span,
            said: Vec::new(),
            broken: Vec::new(),
            unreadable: false,
        };
        let mut reader = Reader {
            errors,
            place,
            options: &mut options,
        };
        ours().for_each(|attr| reader.attribute(&attr.meta));
        options
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

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        self.values(name).find_map(|value| {
            if let Value::Type(ty) = value {
                Some(&**ty)
            } else {
                None
            }
        })
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
            .filter(move |(said, _)| *said == name)
            .map(|(_, value)| value)
    }
}

/// Reads the options of one place, one part at a time.
struct Reader<'a> {
    errors: &'a Errors,
    place: Place,
    options: &'a mut Options,
}

impl Reader<'_> {
    fn attribute(&mut self, meta: &Meta) {
        match meta {
            Meta::Path(_) => {}
            Meta::List(list) => self.parts(list.tokens.clone()),
            Meta::NameValue(pair) => self.malformed(pair),
        }
    }

    fn parts(&mut self, tokens: TokenStream) {
        split(tokens).iter().for_each(|part| self.part(part));
    }

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
            return self.errors.push(match inventory.place_of(&name) {
                Some(home) => diag::misplaced_option(inventory, key, home),
                None => diag::unknown_option(inventory, key, self.place, meant),
            });
        };
        let options = &mut self.options;
        if !spec.repeats && options.attempts(spec.name) {
            return self.errors.push(diag::duplicate_option(inventory, key));
        }
        match value_of(spec, key, part) {
            Ok((value, rest)) => {
                options.said.push((spec.name, value));
                if !rest.is_empty() {
                    self.errors
                        .push(diag::missing_comma(inventory, spec, &rest));
                    self.parts(rest);
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

/// Reads a value of the kind that the option has, and what is left behind it.
fn value_of(
    spec: &Spec,
    key: &Ident,
    part: &Part,
) -> Result<(Value, TokenStream), diag::Diagnostic> {
    if spec.kind == Kind::Flag {
        let plain = part.value.is_none() && part.rest.is_empty();
        let flag = (Value::Present, TokenStream::new());
        return if plain {
            Ok(flag)
        } else {
            Err(diag::wrong_kind(spec, part))
        };
    }
    let tokens = match &part.value {
        Some(tokens) if !tokens.is_empty() => tokens,
        _ if part.rest.is_empty() => return Err(diag::wrong_kind(spec, key)),
        _ => return Err(diag::wrong_kind(spec, part)),
    };
    let parsed = |input: ParseStream<'_>| {
        let value = match spec.kind {
            Kind::Text => Value::Text(input.parse::<LitStr>()?),
            Kind::Version => Value::Version(input.parse::<LitInt>()?.base10_parse()?),
            Kind::Type => Value::Type(input.parse()?),
            Kind::Word(word) if Ident::parse_any(input)? == word => Value::Present,
            Kind::Word(_) | Kind::Flag => return Err(input.error("another word")),
        };
        Ok((value, input.parse::<TokenStream>()?))
    };
    match parsed.parse2(tokens.clone()) {
        Ok((Value::Version(0), _)) => Err(diag::version_zero(spec, tokens)),
        Ok(parsed) => Ok(parsed),
        Err(_) => Err(diag::wrong_kind(spec, tokens)),
    }
}
