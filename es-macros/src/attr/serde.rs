//! serde's attributes, as far as they decide whether the store can keep an enum.
//!
//! The runtime drives serde's own impls by the variant's number and keeps the fields alone. What
//! renames or shapes fields is fine; what replaces the enum's tag, or its numbers, is not.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, LitStr, Meta, Path, PathSegment};

use super::split::{Part, split};
use crate::diag::{self, Errors};

const ON_THE_ENUM: &[&str] = &[
    "tag",
    "content",
    "untagged",
    "from",
    "try_from",
    "into",
    "remote",
    "transparent",
    "field_identifier",
    "variant_identifier",
];
const ON_A_VARIANT: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "untagged",
    "other",
];

pub(crate) fn check_enum(errors: &Errors, attrs: &[Attribute]) {
    check(errors, attrs, ON_THE_ENUM);
}

pub(crate) fn check_variant(errors: &Errors, attrs: &[Attribute]) {
    check(errors, attrs, ON_A_VARIANT);
}

fn check(errors: &Errors, attrs: &[Attribute], forbidden: &[&str]) {
    for key in options(attrs).filter_map(|part| part.key) {
        if forbidden.iter().any(|name| key == name) {
            errors.push(diag::serde_attribute(&key));
        }
    }
}

/// All that serde is told in `attrs`.
fn options(attrs: &[Attribute]) -> impl Iterator<Item = Part> {
    let ours = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    ours.flat_map(|attr| match &attr.meta {
        Meta::List(list) => split(list.tokens.clone()),
        Meta::Path(_) | Meta::NameValue(_) => Vec::new(),
    })
}

/// The text that serde is told by `key = "…"`, or by `key(serialize = "…")`.
fn text(attrs: &[Attribute], key: &str) -> Option<String> {
    let text = |tokens: TokenStream| Some(syn::parse2::<LitStr>(tokens).ok()?.value());
    let part = options(attrs).find(|part| part.key.as_ref().is_some_and(|found| found == key))?;
    if let Some(tokens) = part.value {
        return text(tokens);
    }
    let group = syn::parse2::<proc_macro2::Group>(part.rest).ok()?;
    let writes = |part: &Part| part.key.as_ref().is_some_and(|key| key == "serialize");
    text(split(group.stream()).into_iter().find(writes)?.value?)
}

fn says(attrs: &[Attribute], key: &str) -> bool {
    options(attrs).any(|part| part.key.is_some_and(|found| found == key))
}

/// Whether an enum's payloads may hold nothing that it does not know.
pub(crate) fn denies_unknown_fields(attrs: &[Attribute]) -> bool {
    says(attrs, "deny_unknown_fields")
}

/// How serde calls the fields of one variant.
#[derive(Clone)]
pub(crate) struct Names {
    rule: Option<String>,
}

impl Names {
    pub(crate) fn of(on_enum: &[Attribute], on_variant: &[Attribute]) -> Self {
        let rule = text(on_variant, "rename_all").or_else(|| text(on_enum, "rename_all_fields"));
        Self { rule }
    }

    /// The names of fields that stand in an attribute, as they are written.
    pub(crate) fn plain() -> Self {
        Self { rule: None }
    }

    /// The field's name in JSON.
    pub(crate) fn name(&self, field: &Ident, attrs: &[Attribute]) -> String {
        let name = field.unraw().to_string();
        text(attrs, "rename").unwrap_or_else(|| match &self.rule {
            Some(rule) => rename(&name, rule),
            None => name,
        })
    }
}

/// serde's rules for fields, which are `snake_case` in Rust.
fn rename(name: &str, rule: &str) -> String {
    let pascal = || -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        };
        name.split('_').map(capital).collect()
    };
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let mut letters = pascal.chars();
            let first = letters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(letters).collect()
        }
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

/// Whether serde leaves the field out of the payload.
pub(crate) fn skips(attrs: &[Attribute]) -> bool {
    says(attrs, "skip") || says(attrs, "skip_serializing")
}

/// Whether the field's own fields stand in the payload, in its place.
pub(crate) fn flattens(attrs: &[Attribute]) -> bool {
    says(attrs, "flatten")
}

/// Functions that write and read a field's JSON in the place of its type's own impls.
pub(crate) struct Codec {
    pub(crate) write: Option<Path>,
    pub(crate) read: Option<Path>,
}

pub(crate) fn codec(attrs: &[Attribute]) -> Codec {
    let path = |key| syn::parse_str::<Path>(&text(attrs, key)?).ok();
    let with = |name: &str| {
        let mut path = path("with")?;
        path.segments
            .push(PathSegment::from(Ident::new(name, path.span())));
        Some(path)
    };
    Codec {
        write: path("serialize_with").or_else(|| with("serialize")),
        read: path("deserialize_with").or_else(|| with("deserialize")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_as_serde_calls_them() {
        for (rule, name) in [
            ("lowercase", "new_balance_2"),
            ("UPPERCASE", "NEW_BALANCE_2"),
            ("PascalCase", "NewBalance2"),
            ("camelCase", "newBalance2"),
            ("snake_case", "new_balance_2"),
            ("SCREAMING_SNAKE_CASE", "NEW_BALANCE_2"),
            ("kebab-case", "new-balance-2"),
            ("SCREAMING-KEBAB-CASE", "NEW-BALANCE-2"),
        ] {
            assert_eq!(rename("new_balance_2", rule), name);
        }
    }
}
