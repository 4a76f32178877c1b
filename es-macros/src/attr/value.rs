//! The values of options: from the tokens behind a key to what they say.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Attribute, Field, LitInt, LitStr, Token, Type, parenthesized};

use super::inventory::{Kind, Spec};
use super::split::Part;
use crate::diag::{self, Diagnostic};

/// What an option says.
pub(super) enum Value {
    Text(LitStr),
    Version(u32),
    Parts(u16),
    /// A type, or the path of a function.
    Type(Box<Type>),
    Default(Option<TokenStream>),
    Listed(Listed),
    Name(Ident),
    Columns(Columns),
    Number(Number),
    Present,
}

/// A version that the enum says something of.
#[derive(Clone)]
pub(crate) struct Number {
    pub(crate) version: u32,
    pub(crate) at: TokenStream,
    /// Since when it is deprecated.
    pub(crate) from: Option<LitStr>,
    pub(crate) sunset: Option<LitStr>,
}

/// Fields that are named together.
#[derive(Clone)]
pub(crate) struct Columns {
    pub(crate) names: Vec<Ident>,
    /// The whole list, to point at.
    pub(crate) at: TokenStream,
}

/// Fields as they were before a change, and what became of them.
#[derive(Clone)]
pub(crate) struct Listed {
    /// With their own attributes; without names, if the variant had none.
    pub(crate) fields: Vec<Field>,
    /// Names in the version after the change.
    pub(crate) became: Vec<Became>,
}

/// A field's name in JSON, `first` or `"first-name"`.
#[derive(Clone)]
pub(crate) struct Became {
    pub(crate) name: String,
    pub(crate) at: TokenStream,
}

/// `name: "account"`, as in a struct.
fn is_colon(rest: &TokenStream) -> bool {
    let first = rest.clone().into_iter().next();
    matches!(first, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// Reads a value of the kind that the option has, and what is left behind it.
pub(super) fn value_of(
    spec: &Spec,
    key: &Ident,
    part: &Part,
) -> Result<(Value, TokenStream), Diagnostic> {
    let wrong = |at: &dyn ToTokens| diag::wrong_kind(spec, &at.to_token_stream());
    let plain = part.value.is_none() && part.rest.is_empty();
    let whole = |value| Ok((value, TokenStream::new()));
    let tokens = match (spec.kind, &part.value) {
        (Kind::Flag, _) if plain => return whole(Value::Present),
        (Kind::Default, _) if plain => return whole(Value::Default(None)),
        (Kind::Default, Some(tokens)) if !tokens.is_empty() => {
            return whole(Value::Default(Some(tokens.clone())));
        }
        (Kind::Flag | Kind::Default, _) => return Err(wrong(part)),
        (kind, None) if kind.is_list() && !part.rest.is_empty() => &part.rest,
        (kind, _) if kind.is_list() && plain => return Err(wrong(key)),
        (kind, _) if kind.is_list() => return Err(wrong(part)),
        (_, Some(tokens)) if !tokens.is_empty() => tokens,
        _ if part.rest.is_empty() => return Err(wrong(key)),
        _ if is_colon(&part.rest) => return Err(diag::colon(spec, &part.rest)),
        _ => return Err(wrong(part)),
    };
    let parsed = |input: ParseStream<'_>| {
        let value = match spec.kind {
            Kind::Text | Kind::File => Value::Text(input.parse::<LitStr>()?),
            Kind::Version => Value::Version(input.parse::<LitInt>()?.base10_parse()?),
            Kind::Parts => match input.parse::<LitInt>()?.base10_parse()? {
                parts @ 1..=1024 => Value::Parts(parts),
                _ => return Err(input.error("another number")),
            },
            Kind::Type | Kind::Function => Value::Type(input.parse()?),
            Kind::Word(word) if Ident::parse(input)? == word => Value::Present,
            Kind::Fields => Value::Listed(Listed::parse(input, false)?),
            Kind::Moves => Value::Listed(Listed::parse(input, true)?),
            Kind::Name => Value::Name(input.parse()?),
            Kind::Columns => Value::Columns(Columns::parse(input)?),
            Kind::Number => Value::Number(Number::parse(input, false)?),
            Kind::Deprecated => Value::Number(Number::parse(input, true)?),
            Kind::Word(_) | Kind::Flag | Kind::Default => return Err(input.error("another word")),
        };
        Ok((value, input.parse::<TokenStream>()?))
    };
    match parsed.parse2(tokens.clone()) {
        Ok((Value::Version(0), _)) => Err(diag::version_zero(spec, tokens)),
        Ok(parsed) => Ok(parsed),
        Err(_) => Err(wrong(tokens)),
    }
}

impl Kind {
    /// Whether the value stands in parentheses.
    fn is_list(self) -> bool {
        use Kind::{Columns, Deprecated, Fields, Moves, Number};
        matches!(self, Columns | Deprecated | Fields | Moves | Number)
    }
}

impl Columns {
    /// `(owner, currency)`.
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let at = input.fork().parse()?;
        let content;
        parenthesized!(content in input);
        let names =
            Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, Ident::parse_any)?;
        if names.is_empty() {
            return Err(content.error("no column"));
        }
        let names = names.into_iter().collect();
        Ok(Self { names, at })
    }
}

impl Number {
    /// `(1)`, or `(1, from = "2027-01-01", sunset = "2027-06-30")`.
    fn parse(input: ParseStream<'_>, deprecated: bool) -> syn::Result<Self> {
        let content;
        parenthesized!(content in input);
        let literal: LitInt = content.parse()?;
        let mut number = Self {
            version: literal.base10_parse()?,
            at: literal.into_token_stream(),
            from: None,
            sunset: None,
        };
        while deprecated && !content.is_empty() {
            content.parse::<Token![,]>()?;
            if content.is_empty() {
                break;
            }
            let key: Ident = content.parse()?;
            content.parse::<Token![=]>()?;
            let day = match &*key.to_string() {
                "from" => &mut number.from,
                "sunset" => &mut number.sunset,
                _ => return Err(syn::Error::new(key.span(), "another word")),
            };
            if day.replace(content.parse()?).is_some() {
                return Err(syn::Error::new(key.span(), "said twice"));
            }
        }
        if !content.is_empty() || (deprecated && number.from.is_none()) {
            return Err(content.error("a number alone, or with the days"));
        }
        Ok(number)
    }
}

impl Listed {
    /// `(street: String, city: String => address)`, with the arrow only where something became of
    /// them.
    fn parse(input: ParseStream<'_>, moves: bool) -> syn::Result<Self> {
        let content;
        parenthesized!(content in input);
        let mut fields = Vec::new();
        while !content.is_empty() && !content.peek(Token![=>]) {
            fields.push(field(&content)?);
            if !content.peek(Token![=>]) && !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        let named = fields.iter().filter(|field| field.ident.is_some()).count();
        if named != 0 && named != fields.len() {
            return Err(content.error("names for all or for none"));
        }
        let mut became = Vec::new();
        if moves {
            content.parse::<Token![=>]>()?;
            became.extend(Punctuated::<Became, Token![,]>::parse_terminated(&content)?);
            if named == 0 || became.is_empty() {
                return Err(content.error("nothing moves"));
            }
        }
        Ok(Self { fields, became })
    }
}

/// `note: String` or `String`, with attributes. syn's own would read `=>` as the beginning of a
/// default.
fn field(input: ParseStream<'_>) -> syn::Result<Field> {
    let attrs = Attribute::parse_outer(input)?;
    let named = input.peek2(Token![:]) && !input.peek2(Token![::]);
    let (ident, colon) = if named {
        (Some(Ident::parse_any(input)?), Some(input.parse()?))
    } else {
        (None, None)
    };
    let ty: Type = input.parse()?;
    let mut field = Field::parse_unnamed.parse2(ty.to_token_stream())?;
    (field.attrs, field.ident, field.colon_token) = (attrs, ident, colon);
    Ok(field)
}

impl Parse for Became {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            let (name, at) = (text.value(), text.into_token_stream());
            return Ok(Self { name, at });
        }
        let ident = Ident::parse_any(input)?;
        let (name, at) = (ident.unraw().to_string(), ident.into_token_stream());
        Ok(Self { name, at })
    }
}
