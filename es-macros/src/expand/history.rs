//! The table of an enum's past: a step for each change, for the interpreter in the runtime.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use crate::attr::serde;
use crate::model::EventEnum;
use crate::model::history::{Change, Field, Gone, History, Merged, New, Step};

/// The constant `HISTORY`, and what stands beside the impl for it; nothing where there is no past.
pub(super) fn history(model: &EventEnum<'_>) -> (TokenStream, TokenStream) {
    let mut codecs = Codecs::default();
    let mut variants = Vec::new();
    let mut merged = Vec::new();
    for (i, variant) in model.variants.iter().enumerate() {
        if variant.history.version() > 1 {
            variants.push(versions(i, &variant.history, variant.ignores, &mut codecs));
        }
        for other in &variant.merged {
            merged.push(merge(i, other, variant.ignores, &mut codecs));
        }
    }
    let gone: Vec<_> = model
        .gone
        .iter()
        .map(|gone| leave(gone, &mut codecs))
        .collect();
    let retired = model
        .variants
        .iter()
        .enumerate()
        .filter(|(_, variant)| variant.retired);
    let retired: Vec<_> = retired.map(|(i, _)| Literal::usize_unsuffixed(i)).collect();
    if variants.is_empty() && merged.is_empty() && gone.is_empty() && retired.is_empty() {
        return Default::default();
    }
    let constant = quote! {
        const HISTORY: &'static __es::History<Self> = &__es::History {
            variants: &[#(#variants),*],
            merged: &[#(#merged),*],
            gone: &[#(#gone),*],
            retired: &[#(#retired),*],
        };
    };
    // What tells a `Result` from a value, for functions over whole payloads.
    let whole = |step: &Step| matches!(step.change, Change::Whole { .. });
    let mut histories = model.variants.iter().map(|variant| &variant.history);
    let answers = !merged.is_empty() || histories.any(|history| history.steps.iter().any(whole));
    let answers = answers.then(|| {
        quote!(
            use __es::Whole as _;
        )
    });
    let items = codecs.items;
    (constant, quote!(#answers #items))
}

fn versions(variant: usize, history: &History, ignores: bool, codecs: &mut Codecs) -> TokenStream {
    let variant = Literal::usize_unsuffixed(variant);
    let min_readers = (1..=history.version())
        .map(|version| Literal::u32_unsuffixed(history.min_reader(version, ignores)));
    let steps = history
        .steps
        .iter()
        .filter_map(|step| self::step(step, codecs));
    quote! {
        __es::Versions { variant: #variant, min_readers: &[#(#min_readers),*], steps: &[#(#steps),*] }
    }
}

fn merge(variant: usize, merged: &Merged, ignores: bool, codecs: &mut Codecs) -> TokenStream {
    let (name, since) = (&merged.name.text, Literal::u32_unsuffixed(merged.since));
    let versions = versions(variant, &merged.history, ignores, codecs);
    let up = rewrite(&merged.up);
    quote!(__es::Merged { name: #name, versions: #versions, up: #up, since: #since })
}

fn leave(gone: &Gone, codecs: &mut Codecs) -> TokenStream {
    let name = &gone.name.text;
    let versions = match &gone.history {
        Some(history) => versions(0, history, true, codecs),
        None => quote!(__es::Versions {
            variant: 0,
            min_readers: &[],
            steps: &[]
        }),
    };
    let up = match &gone.up {
        Some(up) => {
            let old = old();
            let call = quote_spanned!(up.span()=> __es::split::<Self, _, _, _>(#up, #old));
            quote!(__es::Some(|#old| #call))
        }
        None => quote!(__es::None),
    };
    quote!(__es::Gone { name: #name, versions: #versions, up: #up })
}

fn step(Step { since, change }: &Step, codecs: &mut Codecs) -> Option<TokenStream> {
    let since = Literal::u32_unsuffixed(*since);
    let names = |fields: &[Field]| {
        let names = fields.iter().map(|field| &field.name);
        quote!(&[#(#names),*])
    };
    Some(match change {
        Change::Merged => return None,
        Change::Name { was } => quote!(__es::Step::named(#since, #was)),
        Change::Added { field, value } => {
            let (name, fill) = (&field.name, fill(field, value, codecs));
            quote!(__es::Step::added(#since, #name, #fill))
        }
        Change::Renamed { from, to } => {
            let (from, to) = (&from.name, &to.name);
            quote!(__es::Step::renamed(#since, #from, #to))
        }
        Change::Converted { from, to, up, down } => {
            let down = optional(down.as_ref().map(|down| convert(down, to, from, codecs)));
            let (takes, gives) = (names(from), names(to));
            match up.as_ref().map(|up| convert(up, from, to, codecs)) {
                None => quote!(__es::Step::removed(#since, #takes, #down)),
                Some(up) => quote!(__es::Step::converted(#since, #takes, #gives, #up, #down)),
            }
        }
        Change::Nested { from, to } => {
            let (from, to) = (names(from), &to.name);
            quote!(__es::Step::nested(#since, #from, #to))
        }
        Change::Flattened { from, to } => {
            let (from, to) = (&from.name, names(to));
            quote!(__es::Step::flattened(#since, #from, #to))
        }
        Change::Whole { up, down, .. } => {
            let (up, down) = (rewrite(up), optional(down.as_ref().map(rewrite)));
            quote!(__es::Step::whole(#since, #up, #down))
        }
    })
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    value.map_or(quote!(__es::None), |value| quote!(__es::Some(#value)))
}

/// What an added field holds in an event of before.
fn fill(field: &Field, value: &New, codecs: &mut Codecs) -> TokenStream {
    let (codec, ty) = (codecs.of(field), &field.ty);
    match value {
        New::Default => {
            let default = quote_spanned!(ty.span()=> <#ty as __es::HasDefault>::value());
            quote!(|_| __es::fill::<#codec>(#default))
        }
        New::Value(value) => quote!(|_| __es::fill::<#codec>(#value)),
        New::From(path) => {
            let old = old();
            let call = quote_spanned!(path.span()=> __es::compute::<#codec, _, _, _>(#path, #old));
            quote!(|#old| #call)
        }
    }
}

/// A function from fields to fields.
fn convert(path: &Type, from: &[Field], to: &[Field], codecs: &mut Codecs) -> TokenStream {
    let from: Vec<_> = from.iter().map(|field| codecs.of(field)).collect();
    let to: Vec<_> = to.iter().map(|field| codecs.of(field)).collect();
    let old = old();
    let call = quote_spanned! {path.span()=>
        __es::convert::<(#(#from,)*), (#(#to,)*), _, _>(#path, #old)
    };
    quote!(|#old| #call)
}

/// A function from a whole payload to a whole payload.
fn rewrite(path: &Type) -> TokenStream {
    let old = old();
    let call = quote_spanned!(path.span()=> __es::Answer(#path(__es::whole(#old)?)).write());
    quote!(|#old| #call)
}

/// What a function is given. The calls stand where their functions are named, so that what rustc
/// says of them it says there.
fn old() -> Ident {
    Ident::new("__old", Span::mixed_site())
}

/// The types that read and write fields: serde's own impls as a rule, and one made here for a field
/// with functions of its own.
#[derive(Default)]
struct Codecs {
    items: TokenStream,
    made: usize,
}

impl Codecs {
    fn of(&mut self, field: &Field) -> TokenStream {
        let ty = &field.ty;
        let serde::Codec { write, read } = serde::codec(&field.attrs);
        if write.is_none() && read.is_none() {
            return quote!(__es::Json<#ty>);
        }
        let name: Ident = format_ident!("__Codec{}", self.made, span = Span::mixed_site());
        self.made += 1;
        let read = read.map_or(
            quote!(<#ty as __es::Deserialize>::deserialize),
            |read| quote!(#read),
        );
        let write = write.map_or(
            quote!(<#ty as __es::Serialize>::serialize),
            |write| quote!(#write),
        );
        self.items.extend(quote! {
            enum #name {}
            impl __es::Read for #name {
                type Of = #ty;
                fn read<'de, __D: __es::Deserializer<'de>>(__json: __D) -> __es::Result<#ty, __D::Error> {
                    #read(__json)
                }
            }
            impl __es::Write for #name {
                type Of = #ty;
                fn write<__S: __es::Serializer>(__value: &#ty, __json: __S) -> __es::Result<__S::Ok, __S::Error> {
                    #write(__value, __json)
                }
            }
        });
        quote!(#name)
    }
}
