use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::{anonymous, implement, itself, mentions};
use crate::model::ReadModel;

pub(crate) fn projection(model: &ReadModel<'_>) -> TokenStream {
    let ReadModel {
        input,
        name,
        version,
        columns,
    } = model;
    let (name, version) = (&name.text, Literal::u32_unsuffixed(*version));
    // Each field's type is asked for its column in one way and at one place, so that rustc says
    // once, and not three times, that it has none.
    let stored = |ty: &Type| quote_spanned!(ty.span()=> <#ty as __es::Column>);
    let table = columns.iter().map(|column| {
        let (stored, index) = (stored(column.ty), column.index);
        let name = column.field.unraw().to_string();
        quote_spanned!(column.ty.span()=> __es::column::<#stored::Stored>(#name, #index))
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
    let body = quote! {
        const NAME: &'static str = #name;
        const VERSION: u32 = #version;
        const COLUMNS: &'static [__es::ColumnDef] = &[#(#table),*];
        fn to_row(&self) -> __es::Result<__es::Row, __es::OutOfRange> {
            __es::Ok(__es::Vec::from([#(#values),*]))
        }
        fn from_row(__row: __es::Row) -> __es::Result<Self, __es::OutOfRange> {
            let [#(#locals),*] = __es::values(__row)?;
            __es::Ok(Self { #(#fields),* })
        }
    };
    let bounds = bounds(model);
    anonymous(&implement(
        input,
        &quote!(__es::Projection),
        &itself(input),
        &bounds,
        &body,
    ))
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
