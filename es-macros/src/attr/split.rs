//! An attribute's tokens, cut into options, before anybody asks what they mean: one that is
//! malformed does not hide the others.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;

/// One part between two commas, `key = value`.
pub(crate) struct Part {
    /// The first token, if it is a word.
    pub(crate) key: Option<Ident>,
    /// What follows `=`.
    pub(crate) value: Option<TokenStream>,
    /// What follows a key without `=`, as in `key(…)`.
    pub(crate) rest: TokenStream,
    /// All of it.
    pub(crate) tokens: TokenStream,
}

/// Cuts at the commas outside of brackets, angle brackets included: `event = Moved<A, B>` is one
/// option.
pub(crate) fn split(tokens: TokenStream) -> Vec<Part> {
    let mut parts = vec![Vec::new()];
    let (mut depth, mut last) = (0_usize, ' ');
    for token in tokens {
        let punct = if let TokenTree::Punct(punct) = &token {
            punct.as_char()
        } else {
            ' '
        };
        match punct {
            '<' => depth += 1,
            '>' if last != '-' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                // A comma behind nothing is a part by itself: there is nothing else to point at.
                if let Some(part) = parts.last_mut().filter(|part| part.is_empty()) {
                    part.push(token);
                }
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        last = punct;
        if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    if parts.last().is_some_and(Vec::is_empty) {
        parts.pop();
    }
    parts.into_iter().map(Part::new).collect()
}

impl Part {
    fn new(part: Vec<TokenTree>) -> Self {
        let tokens = part.iter().cloned().collect();
        let mut part = part.into_iter().peekable();
        let key = match part.peek() {
            Some(TokenTree::Ident(ident)) => Some(ident.clone()),
            _ => None,
        };
        if key.is_some() {
            part.next();
        }
        let equals = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '=');
        let valued = key.is_some() && part.next_if(equals).is_some();
        let rest = part.collect::<TokenStream>();
        let (value, rest) = if valued {
            (Some(rest), TokenStream::new())
        } else {
            (None, rest)
        };
        Self {
            key,
            value,
            rest,
            tokens,
        }
    }
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.tokens.to_tokens(tokens);
    }
}
