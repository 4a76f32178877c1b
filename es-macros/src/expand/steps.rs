//! One arm for each event of a version: what it is in the next one, or in the one before.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::versions::alias;
use crate::model::history::{Change, Field, New, Shape};
use crate::model::versions::Line;

/// The arm of an event of `version` on the way to the next one.
pub(super) fn up(line: &Line<'_>, version: u32) -> TokenStream {
    let (this, name) = (alias(version), line.name_in(version));
    let ident = line.ident_in(version);
    let whole = |function: &Type| quote!(__event @ #this::#ident { .. } => __es::all_upward::<Self>(#name, #function(__event))?,);
    if !line.is_in(version + 1) {
        return match &line.into {
            Some(function) => whole(function),
            None => quote!(#this::#ident { .. } => __es::Vec::new(),),
        };
    }
    let mut arm = Arm::new(line, version, version + 1, quote!(upward));
    for step in line.steps_to(version + 1) {
        match &step.change {
            Change::Whole { up, .. } => return whole(up),
            Change::Name { .. } | Change::Merged => {}
            Change::Added { field, value } => {
                let value = match value {
                    New::Default => quote!(__es::Default::default()),
                    New::Value(value) => value.clone(),
                    New::From(function) => arm.computed(field, function),
                };
                arm.values.insert(field.name.clone(), value);
            }
            Change::Renamed { from, to } => arm.rename(from, to),
            Change::Converted { from, to, up, .. } => arm.convert(from, to, up.as_ref()),
            Change::Nested { from, to } => arm.nest(from, to),
            Change::Flattened { from, to } => arm.flatten(from, to),
        }
    }
    arm.finish()
}

/// The arm of an event of the version after `version`, on the way down to that.
pub(super) fn down(line: &Line<'_>, version: u32) -> TokenStream {
    let newer = alias(version + 1);
    let (ident, name) = (line.ident_in(version + 1), line.name_in(version + 1));
    if let Some(function) = line.down_from(version + 1) {
        let made = quote_spanned!(function.span()=> __es::all_downward::<Self>(#name, #function(__event))?);
        return quote!(__event @ #newer::#ident { .. } => #made,);
    }
    if !line.is_in(version) {
        return quote!(#newer::#ident { .. } => __es::Vec::new(),);
    }
    let mut arm = Arm::new(line, version + 1, version, quote!(downward));
    for step in line.steps_to(version + 1).rev() {
        match &step.change {
            // Where no function leads down, the version has a mapping of its own.
            Change::Whole { .. } | Change::Name { .. } | Change::Merged => {}
            Change::Added { field, .. } => arm.drop(field),
            Change::Renamed { from, to } => arm.rename(to, from),
            Change::Converted { from, to, down, .. } if to.is_empty() && down.is_none() => {
                for field in from {
                    let value = match line.fill(version + 1, &field.name) {
                        Some(Some(value)) => value.clone(),
                        _ => quote!(__es::Default::default()),
                    };
                    arm.values.insert(field.name.clone(), value);
                }
            }
            Change::Converted { from, to, down, .. } => arm.convert(to, from, down.as_ref()),
            Change::Nested { from, to } => arm.flatten(to, from),
            Change::Flattened { from, to } => arm.nest(to, from),
        }
    }
    arm.finish()
}

/// An arm in the making: what is bound, what is done, and what the fields of the other version are.
struct Arm<'a> {
    line: &'a Line<'a>,
    /// The versions from which and to which it goes.
    from: u32,
    to: u32,
    /// What tells why a conversion said no.
    told: TokenStream,
    /// Fields that nothing is made of.
    dropped: BTreeSet<String>,
    before: TokenStream,
    statements: TokenStream,
    /// The field of a name, as an expression.
    values: BTreeMap<String, TokenStream>,
}

impl<'a> Arm<'a> {
    fn new(line: &'a Line<'a>, from: u32, to: u32, told: TokenStream) -> Self {
        let shape = line.shape_in(from);
        let bound = |field: &Field| {
            let local = local(&line.field_in(from, field));
            (field.name.clone(), local.into_token_stream())
        };
        Self {
            line,
            from,
            to,
            told,
            dropped: BTreeSet::new(),
            before: TokenStream::new(),
            statements: TokenStream::new(),
            values: shape
                .fields
                .iter()
                .filter(|_| shape.named)
                .map(bound)
                .collect(),
        }
    }

    fn take(&mut self, field: &Field) -> TokenStream {
        self.values.remove(&field.name).unwrap_or_default()
    }

    fn drop(&mut self, field: &Field) {
        self.take(field);
        self.dropped.insert(field.name.clone());
    }

    fn rename(&mut self, from: &Field, to: &Field) {
        let value = self.take(from);
        self.values.insert(to.name.clone(), value);
    }

    /// What a function makes of the whole event, before it is taken apart.
    fn computed(&mut self, field: &Field, function: &Type) -> TokenStream {
        let (local, ty) = (local_of(&field.name, field), &field.ty);
        let answer = self.answer(quote!(#ty), function, quote!(&__event));
        self.before.extend(quote!(let #local = #answer;));
        local.into_token_stream()
    }

    /// What a function makes, pointed at where it is named: there it is mended.
    fn answer(&self, ty: TokenStream, function: &Type, arguments: TokenStream) -> TokenStream {
        let (told, name) = (&self.told, self.line.name_in(self.from));
        quote_spanned!(function.span()=> __es::#told::<Self, #ty>(#name, #function(#arguments))?)
    }

    /// Fields that a function makes of others; without a function they are gone.
    fn convert(&mut self, from: &[Field], to: &[Field], function: Option<&Type>) {
        let Some(function) = function else {
            return from.iter().for_each(|field| self.drop(field));
        };
        // A wrong type is the function's mistake: it is told there.
        let there = |value: TokenStream| {
            let value: Vec<TokenTree> = value.into_iter().collect();
            match <[TokenTree; 1]>::try_from(value) {
                Ok([mut only]) => {
                    only.set_span(function.span());
                    only.into()
                }
                Err(several) => several.into_iter().collect::<TokenStream>(),
            }
        };
        let arguments: Vec<_> = from.iter().map(|field| there(self.take(field))).collect();
        let arguments = quote!(#(#arguments),*);
        match to {
            [] => self.statements.extend(quote!(#function(#arguments);)),
            [only] => {
                let ty = &only.ty;
                let value = self.answer(quote!(#ty), function, arguments);
                self.values.insert(only.name.clone(), value);
            }
            several => {
                let locals: Vec<_> = several.iter().map(|to| local_of(&to.name, to)).collect();
                let types = several.iter().map(|to| &to.ty);
                let answer = self.answer(quote!((#(#types),*)), function, arguments);
                self.statements
                    .extend(quote!(let (#(#locals),*) = #answer;));
                for (to, local) in several.iter().zip(locals) {
                    self.values
                        .insert(to.name.clone(), local.into_token_stream());
                }
            }
        }
    }

    /// Fields become those of a struct.
    fn nest(&mut self, from: &[Field], to: &Field) {
        let fields: Vec<_> = from
            .iter()
            .map(|field| {
                let (ident, value) = (inner(field), self.take(field));
                quote!(#ident: #value)
            })
            .collect();
        let ty = &to.ty;
        self.values
            .insert(to.name.clone(), quote!(#ty { #(#fields),* }));
    }

    /// The fields of a struct become fields.
    fn flatten(&mut self, from: &Field, to: &[Field]) {
        let (ty, value) = (&from.ty, self.take(from));
        let fields = to.iter().map(|field| {
            let (ident, local) = (inner(field), local_of(&field.name, field));
            quote!(#ident: #local)
        });
        self.statements
            .extend(quote!(let #ty { #(#fields),* } = #value;));
        for field in to {
            let local = local_of(&field.name, field).into_token_stream();
            self.values.insert(field.name.clone(), local);
        }
    }

    fn finish(mut self) -> TokenStream {
        let (from, to) = (alias(self.from), alias(self.to));
        let old = self.line.ident_in(self.from);
        let new = self.line.ident_in(self.to);
        let pattern = self.pattern();
        let made = self.made();
        let (before, statements) = (&self.before, &self.statements);
        let event = quote!(__es::Vec::from([#to::#new #made]));
        if !before.is_empty() {
            return quote! {
                __event @ #from::#old { .. } => {
                    #before
                    let #from::#old #pattern = __event else { ::core::unreachable!() };
                    #statements
                    #event
                }
            };
        }
        if statements.is_empty() {
            quote!(#from::#old #pattern => #event,)
        } else {
            quote!(#from::#old #pattern => { #statements #event })
        }
    }

    /// The fields of the version from which it goes.
    fn pattern(&self) -> TokenStream {
        let shape = self.line.shape_in(self.from);
        if !shape.named {
            let locals = places(shape);
            return quote!((#(#locals),*));
        }
        let bound = shape
            .fields
            .iter()
            .filter(|field| !self.dropped.contains(&field.name));
        let fields: Vec<_> = bound
            .map(|field| {
                let ident = self.line.field_in(self.from, field);
                let local = local(&ident);
                quote!(#ident: #local)
            })
            .collect();
        let left = fields.len() < shape.fields.len() || self.skips(self.from);
        let rest = left.then(|| quote!(..));
        quote!({ #(#fields,)* #rest })
    }

    /// The fields of the version to which it goes.
    fn made(&mut self) -> TokenStream {
        let shape = self.line.shape_in(self.to);
        if !shape.named {
            let locals = places(shape);
            return quote!((#(#locals),*));
        }
        let mut fields: Vec<_> = shape
            .fields
            .iter()
            .map(|field| {
                let (ident, value) = (self.line.field_in(self.to, field), self.take(field));
                quote!(#ident: #value)
            })
            .collect();
        if self.skips(self.to) {
            let skipped = self.line.skipped.iter();
            fields.extend(skipped.map(|ident| quote!(#ident: __es::Default::default())));
        }
        quote!({ #(#fields),* })
    }

    /// Whether the version has fields that are in no payload: the user's own enum alone may.
    fn skips(&self, version: u32) -> bool {
        let newest = self.line.variant.is_some() && version == self.line.last;
        newest && !self.line.skipped.is_empty()
    }
}

fn places(shape: &Shape) -> impl Iterator<Item = Ident> {
    (0..shape.fields.len()).map(|place| format_ident!("__{place}"))
}

fn local(ident: &Ident) -> Ident {
    format_ident!("__{}", ident.unraw(), span = ident.span())
}

fn local_of(name: &str, field: &Field) -> Ident {
    local(&crate::model::naming::field(name, field.at.span()))
}

/// The name that a field has in the struct that it goes into or comes out of.
fn inner(field: &Field) -> Ident {
    match &field.ident {
        Some(ident) if ident.unraw() == field.name => ident.clone(),
        _ => crate::model::naming::field(&field.name, field.at.span()),
    }
}
