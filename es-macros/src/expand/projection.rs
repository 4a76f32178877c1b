use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::{anonymous, implement, itself, mentions};
use crate::model::{Index, ReadModel};

pub(crate) fn projection(model: &ReadModel<'_>) -> TokenStream {
    let ReadModel {
        input,
        name,
        version,
        slices,
        columns,
        indexes,
    } = model;
    let (name, version) = (&name.text, Literal::u32_unsuffixed(*version));
    // Each field's type is asked for its column in one way and at one place, so that rustc says
    // once, and not three times, that it has none.
    let stored = |ty: &Type| quote_spanned!(ty.span()=> <#ty as __es::Column>);
    let table = columns.iter().map(|column| {
        let stored = stored(column.ty);
        let name = column.field.unraw().to_string();
        quote_spanned!(column.ty.span()=> __es::column::<#stored::Stored>(#name))
    });
    // A type that comes out of another macro has its span there, where our `self` is unknown.
    let this = quote!(self);
    let values = columns.iter().map(|column| {
        let (stored, field) = (stored(column.ty), column.field);
        quote_spanned! {column.ty.span()=>
            __es::Stored::into_value(#stored::to_stored(&#this.#field)?)
        }
    });
    let locals: Vec<Ident> = columns
        .iter()
        .map(|column| format_ident!("__{}", column.field.unraw()))
        .collect();
    let fields = columns.iter().zip(&locals).map(|(column, local)| {
        let (stored, field) = (stored(column.ty), column.field);
        quote_spanned! {column.ty.span()=>
            #field: #stored::from_stored(__es::Stored::from_value(#local)?)?
        }
    });
    let slices = slices.map(|n| {
        let n = Literal::u16_unsuffixed(n);
        quote!(const SLICES: u16 = #n;)
    });
    let indexed = (!indexes.is_empty()).then(|| table_of_indexes(indexes));
    let body = quote! {
        const NAME: &'static str = #name;
        const VERSION: u32 = #version;
        #slices
        const COLUMNS: &'static [__es::ColumnDef] = &[#(#table),*];
        #indexed
        fn to_row(&self) -> __es::Result<__es::Row, __es::OutOfRange> {
            __es::Ok(__es::Vec::from([#(#values),*]))
        }
        fn from_row(__row: __es::Row) -> __es::Result<Self, __es::OutOfRange> {
            let [#(#locals),*] = __es::values(__row)?;
            __es::Ok(Self { #(#fields),* })
        }
    };
    let bounds = bounds(model);
    let implementation = anonymous(&implement(
        input,
        &quote!(__es::Projection),
        &itself(input),
        &bounds,
        &body,
    ));
    let constants = (!indexes.is_empty()).then(|| constants(model));
    quote!(#implementation #constants)
}

fn table_of_indexes(indexes: &[Index]) -> TokenStream {
    let indexes = indexes.iter().map(|index| {
        let kind = if index.unique { "one" } else { "many" };
        let kind = Ident::new(kind, Span::call_site());
        let places = index.columns.iter().map(|n| Literal::usize_unsuffixed(*n));
        quote!(__es::#kind(&[#(#places),*]))
    });
    quote!(const INDEXES: &'static [__es::IndexDef] = &[#(#indexes),*];)
}

/// A constant for each index, by which views are asked.
fn constants(model: &ReadModel<'_>) -> TokenStream {
    let ReadModel {
        input,
        columns,
        indexes,
        ..
    } = model;
    let constants = indexes.iter().enumerate().map(|(n, index)| {
        let names = model.names(index);
        let name = format!("BY_{}", names.join("_AND_").to_uppercase());
        let name = Ident::new(&name, input.ident.span());
        let kind = if index.unique { "Unique" } else { "Index" };
        let kind = Ident::new(kind, Span::call_site());
        let types: Vec<_> = index.columns.iter().map(|n| columns[*n].ty).collect();
        let of = match &*types {
            [alone] => quote!(#alone),
            several => quote!((#(#several),*)),
        };
        let (vis, place) = (&input.vis, Literal::usize_unsuffixed(n));
        let doc = match index.unique {
            true => format!("The row that holds a `{}`.", names.join("`, `")),
            false => format!("The rows by `{}`.", names.join("`, `")),
        };
        quote! {
            #[doc = #doc]
            #vis const #name: __es::#kind<Self, #of> = __es::index(#place);
        }
    });
    let (target, (impl_generics, _, said)) = (itself(input), input.generics.split_for_impl());
    // Documented where the rest is hidden.
    quote! {
        #[allow(dead_code, deprecated, private_interfaces, unused_qualifications)]
        const _: () = {
            use ::es_runtime::__private as __es;
            impl #impl_generics #target #said { #(#constants)* }
        };
    }
}

/// What the impl needs of a generic struct: its fields are columns, where that depends on a type
/// parameter.
fn bounds(model: &ReadModel<'_>) -> TokenStream {
    let is_parameter = |name: &Ident| {
        let mut parameters = model.input.generics.type_params();
        parameters.any(|p| p.ident == *name)
    };
    let generic = model
        .columns
        .iter()
        .map(|c| c.ty)
        .filter(|ty| mentions(ty, &mut |name| is_parameter(name)));
    let columns = generic.map(|ty| quote_spanned!(ty.span()=> #ty: __es::Column,));
    quote!(Self: __es::Send + __es::Sync + 'static, #(#columns)*)
}
