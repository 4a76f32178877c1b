//! What the user wrote beside the enum, in a module two levels further down.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::{Attribute, LitStr, Meta, Path, Visibility};

use crate::attr::split::{Part, split};

/// How far down the older types stand.
const DEPTH: usize = 2;

/// The same paths: those that begin with `self` or `super` begin further up.
pub(super) fn relocate(tokens: TokenStream) -> TokenStream {
    up(tokens, DEPTH)
}

fn up(tokens: TokenStream, depth: usize) -> TokenStream {
    let mut relocated = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    // Whether the last two tokens were `::`: then a path goes on.
    let (mut colon, mut inside) = (false, false);
    while let Some(token) = tokens.next() {
        let goes_on = tokens.peek().is_some_and(is_colon);
        match &token {
            TokenTree::Ident(ident) if !inside && goes_on && *ident == "self" => {
                relocated.extend(supers(depth, ident.span()));
            }
            TokenTree::Ident(ident) if !inside && goes_on && *ident == "super" => {
                relocated.extend(supers(depth + 1, ident.span()));
            }
            TokenTree::Group(group) => {
                let mut moved = Group::new(group.delimiter(), up(group.stream(), depth));
                moved.set_span(group.span());
                relocated.extend([TokenTree::from(moved)]);
            }
            _ => relocated.extend([token.clone()]),
        }
        inside = colon && is_colon(&token);
        colon = is_colon(&token) && !inside;
    }
    relocated
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

/// `super::super`.
fn supers(depth: usize, span: Span) -> TokenStream {
    let supers = (0..depth).map(|_| Ident::new("super", span));
    quote!(#(#supers)::*)
}

/// The visibility that something `depth` modules further down has, to be seen by the same.
pub(super) fn visibility(visibility: &Visibility, depth: usize) -> TokenStream {
    let inside = |depth| match depth {
        0 => TokenStream::new(),
        _ => {
            let path = supers(depth, Span::call_site());
            quote!(pub(in #path))
        }
    };
    match visibility {
        Visibility::Public(_) => visibility.to_token_stream(),
        Visibility::Inherited => inside(depth),
        Visibility::Restricted(restricted) => {
            let path = &*restricted.path;
            if path.is_ident("crate") || depth == 0 {
                return visibility.to_token_stream();
            }
            if path.is_ident("self") {
                return inside(depth);
            }
            if path.is_ident("super") {
                return inside(depth + 1);
            }
            let path = up(path.to_token_stream(), depth);
            quote!(pub(in #path))
        }
    }
}

/// What the older types derive, and whether a schema is in it.
///
/// Derives are seen where they stand below the one with `IntegrationEvent`; those that cannot be
/// missing are always there.
pub(super) fn derives(on_enum: &[Attribute]) -> (TokenStream, bool) {
    let said = on_enum
        .iter()
        .filter(|attr| attr.path().is_ident("derive"))
        .filter_map(|attr| match &attr.meta {
            Meta::List(list) => Some(split(list.tokens.clone())),
            _ => None,
        })
        .flatten();
    let mut all = vec![
        quote!(::core::clone::Clone),
        quote!(::core::fmt::Debug),
        quote!(::core::cmp::PartialEq),
        quote!(::es_runtime::__private::serde::Serialize),
        quote!(::es_runtime::__private::serde::Deserialize),
    ];
    let mut schema = false;
    for part in said {
        let Ok(path) = syn::parse2::<Path>(part.tokens) else {
            continue;
        };
        let last = path
            .segments
            .last()
            .map(|segment| segment.ident.to_string());
        match last.as_deref() {
            Some("Clone" | "Debug" | "PartialEq" | "Serialize" | "Deserialize") => continue,
            Some("Event" | "IntegrationEvent") => continue,
            Some("JsonSchema") => schema = true,
            _ => {}
        }
        all.push(relocate(path.to_token_stream()));
    }
    (quote!(#(#all),*), schema)
}

/// Doc comments, and what serde and the schema are told of a field or an enum, but for names: the
/// older types say theirs in full.
pub(super) fn attrs(attrs: &[Attribute], schema: bool) -> TokenStream {
    let mut kept = TokenStream::new();
    for attr in attrs {
        let path = attr.path();
        match &attr.meta {
            _ if path.is_ident("doc") || path.is_ident("non_exhaustive") => {
                attr.to_tokens(&mut kept)
            }
            Meta::List(list) if path.is_ident("serde") => {
                let parts = split(list.tokens.clone())
                    .into_iter()
                    .filter(|part| !renames(part));
                let parts: Vec<_> = parts.map(|part| function(part.tokens)).collect();
                if !parts.is_empty() {
                    kept.extend(quote!(#[serde(#(#parts),*)]));
                }
            }
            Meta::List(list) if schema && path.is_ident("schemars") => {
                let tokens = relocate(list.tokens.clone());
                kept.extend(quote!(#[schemars(#tokens)]));
            }
            _ => {}
        }
    }
    kept
}

fn renames(part: &Part) -> bool {
    let names = [
        "rename",
        "rename_all",
        "rename_all_fields",
        "crate",
        "alias",
    ];
    part.key
        .as_ref()
        .is_some_and(|key| names.iter().any(|name| key == name))
}

/// serde names functions by strings: `with = "super::cents"`.
fn function(tokens: TokenStream) -> TokenStream {
    let path = |token: TokenTree| {
        let TokenTree::Literal(literal) = &token else {
            return token.into();
        };
        let Ok(text) = syn::parse2::<LitStr>(literal.to_token_stream()) else {
            return token.into();
        };
        match text.parse::<Path>() {
            Ok(path) => {
                let moved = relocate(path.to_token_stream())
                    .to_string()
                    .replace(' ', "");
                LitStr::new(&moved, text.span()).into_token_stream()
            }
            Err(_) => token.into(),
        }
    };
    tokens.into_iter().map(path).collect()
}
