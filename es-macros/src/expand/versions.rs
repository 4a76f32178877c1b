//! The older versions of a public stream: a type for each, and the steps between neighbours.
//!
//! The types stand in a module of their own, since consumers name them. The steps stand where the
//! enum does, so that the paths in its attributes mean what they mean there.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens as _, format_ident, quote};
use syn::ext::IdentExt as _;

use super::integration::{facts, row};
use super::relocate::{attrs, derives, relocate, visibility};
use super::steps::{down, up};
use crate::model::IntegrationEnum;
use crate::model::versions::{Line, Older};

/// How the steps call the type of a version.
pub(super) fn alias(version: u32) -> Ident {
    format_ident!("__V{version}")
}

/// The newest version's table of the older ones.
pub(super) fn table(model: &IntegrationEnum<'_>) -> TokenStream {
    let versions = &model.versions;
    let typed = versions.older.iter().map(|older| {
        let ty = alias(older.number);
        let made = if older.own { quote!(own) } else { quote!(fed) };
        quote!(__es::Older::#made::<#ty>(__es::Probe::<#ty>::SCHEMA))
    });
    let gone = versions.gone.iter().map(|version| {
        let version = Literal::u32_unsuffixed(*version);
        quote!(__es::Older::gone(#version))
    });
    let rows: Vec<_> = typed.chain(gone).collect();
    if rows.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const OLDER: &'static [__es::Older] = {
            use __es::NoSchema as _;
            &[#(#rows),*]
        };
    }
}

/// The module with a type for each older version.
pub(super) fn module(model: &IntegrationEnum<'_>) -> TokenStream {
    let (versions, input) = (&model.versions, model.input);
    if versions.older.is_empty() {
        return TokenStream::new();
    }
    let types = versions
        .older
        .iter()
        .rev()
        .map(|older| one(model, older.number));
    let (newest, ident) = (format_ident!("v{}", model.version), &input.ident);
    let (module, stream) = (&versions.module, &model.stream.text);
    let doc = format!("The versions of the stream `{stream}`, side by side.");
    let newest_doc = format!("Version {} of `{stream}`, the newest one.", model.version);
    let [outer, middle, inner] = [0, 1, 2].map(|depth| visibility(&input.vis, depth));
    quote! {
        #[doc = #doc]
        #[allow(
            dead_code,
            deprecated,
            missing_docs,
            non_camel_case_types,
            non_snake_case,
            unused_imports,
            unused_qualifications
        )]
        #outer mod #module {
            #(#types)*
            #[doc = #newest_doc]
            #middle mod #newest {
                #inner use super::super::#ident;
            }
        }
    }
}

/// The type of one older version, in its module.
fn one(model: &IntegrationEnum<'_>, version: u32) -> TokenStream {
    let (input, stream) = (model.input, &model.stream.text);
    let doc = format!("Version {version} of `{stream}`.");
    let (module, ident) = (format_ident!("v{version}"), &input.ident);
    let [_, middle, inner] = [0, 1, 2].map(|depth| visibility(&input.vis, depth));
    let (derives, schema) = derives(&input.attrs);
    let attributes = attrs(&input.attrs, schema);
    let variants = model
        .versions
        .events(version)
        .map(|line| variant(line, version, schema));
    quote! {
        #[doc = #doc]
        #middle mod #module {
            use super::super::*;

            #attributes
            #[derive(#derives)]
            #[serde(crate = "::es_runtime::__private::serde")]
            #inner enum #ident { #(#variants),* }
        }
    }
}

fn variant(line: &Line<'_>, version: u32, schema: bool) -> TokenStream {
    let (ident, shape) = (line.ident_in(version), line.shape_in(version));
    let attributes = attrs(line.attrs(), schema);
    let fields = shape.fields.iter().map(|field| {
        let (attributes, ty) = (
            attrs(&field.attrs, schema),
            relocate(field.ty.to_token_stream()),
        );
        if !shape.named {
            return quote!(#attributes #ty);
        }
        let ident = line.field_in(version, field);
        let name = &field.name;
        let rename = if ident.unraw() == name {
            TokenStream::new()
        } else {
            quote!(#[serde(rename = #name)])
        };
        quote!(#attributes #rename #ident: #ty)
    });
    match (shape.named, shape.fields.is_empty()) {
        (true, true) => quote!(#attributes #ident),
        (true, false) => quote!(#attributes #ident { #(#fields),* }),
        (false, _) => quote!(#attributes #ident ( #(#fields),* )),
    }
}

/// What each older version is, and its steps up and down.
pub(super) fn steps(model: &IntegrationEnum<'_>) -> TokenStream {
    let versions = &model.versions;
    if versions.older.is_empty() {
        return TokenStream::new();
    }
    let (newest, ident, module) = (alias(model.version), &model.input.ident, &versions.module);
    let aliases = versions.older.iter().map(|older| {
        let (alias, version) = (alias(older.number), format_ident!("v{}", older.number));
        quote!(type #alias = #module::#version::#ident;)
    });
    let impls = versions
        .older
        .iter()
        .map(|older| implementations(model, older));
    quote! {
        type #newest = #ident;
        #(#aliases)*
        #(#impls)*
    }
}

fn implementations(model: &IntegrationEnum<'_>, older: &Older) -> TokenStream {
    let version = older.number;
    let (this, newer, newest) = (alias(version), alias(version + 1), alias(model.version));
    let lines = || model.versions.events(version);
    let rows = lines().map(|line| {
        row(
            &line.ident_in(version).unraw().to_string(),
            line.name_in(version),
        )
    });
    let facts = facts(model, version, older.status, &quote!(&[#(#rows),*]));
    let number = Literal::u32_unsuffixed(version);
    let below = older.own.then(|| {
        quote! {
            const OLDER: &'static [__es::Older] =
                __es::below(<#newest as __es::IntegrationEvent>::OLDER, #number);
        }
    });
    let lossy: Vec<_> = lines()
        .filter(|line| line.is_lossy(version))
        .map(|line| line.name_in(version).to_owned())
        .collect();
    let lossy =
        (!lossy.is_empty()).then(|| quote!(const LOSSY: &'static [&'static str] = &[#(#lossy),*];));
    let up = lines().map(|line| up(line, version));
    let downcast = (!older.own).then(|| {
        let down = model
            .versions
            .events(version + 1)
            .map(|line| down(line, version));
        quote! {
            #[automatically_derived]
            impl __es::Downcast for #this {
                fn downcast(newer: #newer) -> __es::Result<__es::Vec<Self>, __es::Error> {
                    __es::Ok(match newer { #(#down)* })
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl __es::IntegrationEvent for #this { #facts #below }
        #[automatically_derived]
        impl __es::Upcast for #this {
            type Newer = #newer;
            #lossy
            fn upcast(self) -> __es::Result<__es::Vec<#newer>, __es::Error> {
                __es::Ok(match self { #(#up)* })
            }
        }
        #downcast
    }
}
