//! serde's attributes, as far as they decide whether the store can keep an enum.
//!
//! The runtime drives serde's own impls by the variant's number and keeps the fields alone. What
//! renames or shapes fields is fine; what replaces the enum's tag, or its numbers, is not.

use syn::{Attribute, Meta};

use super::split::split;
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
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        let Meta::List(list) = &attr.meta else {
            continue;
        };
        for key in split(list.tokens.clone())
            .into_iter()
            .filter_map(|part| part.key)
        {
            if forbidden.iter().any(|name| key == name) {
                errors.push(diag::serde_attribute(&key));
            }
        }
    }
}
