//! Tokens as a person would write them.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;

/// `Vec<(u8, &'static str)>` rather than `Vec < (u8 , & 'static str) >`.
pub(crate) fn pretty(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    write(tokens.to_token_stream(), &mut text);
    text
}

/// The text that tokens have however they were formatted: what is compared with the lock.
pub(crate) fn canonical(tokens: &impl ToTokens) -> String {
    // Only a formatter writes a comma before the end; in a tuple of one it is not a formatter's.
    pretty(&tidy(tokens.to_token_stream()))
}

/// Without the commas that end lists; a tuple of one keeps its own.
fn tidy(tokens: TokenStream) -> TokenStream {
    let is =
        |token: &TokenTree, c| matches!(token, TokenTree::Punct(punct) if punct.as_char() == c);
    let mut tidy: Vec<TokenTree> = Vec::new();
    for token in tokens {
        if is(&token, '>') && tidy.last().is_some_and(|last| is(last, ',')) {
            tidy.pop();
        }
        tidy.push(match token {
            TokenTree::Group(group) => {
                let mut inner: Vec<_> = tidy_list(group.stream());
                let commas = inner.iter().filter(|token| is(token, ',')).count();
                if commas > 1 {
                    inner.pop_if(|last| is(last, ','));
                }
                Group::new(group.delimiter(), inner.into_iter().collect()).into()
            }
            other => other,
        });
    }
    tidy.into_iter().collect()
}

fn tidy_list(tokens: TokenStream) -> Vec<TokenTree> {
    tidy(tokens).into_iter().collect()
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                '+' => text.push_str(" + "),
                '-' => text.push_str(" -"),
                '>' if text.ends_with(" -") => text.push_str("> "),
                ',' | ';' => text.extend([punct.as_char(), ' ']),
                other => text.push(other),
            },
            word => {
                // Two words in a row, `dyn Error`, need a space; `&` and `<` do not.
                if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_they_are_written() {
        for text in [
            "Vec<(u8, &'static str)>",
            "Box<dyn Error + Send>",
            "std::collections::BTreeMap<String, [u8; 4]>",
            "&'a mut T",
            "fn(A) -> B",
        ] {
            assert_eq!(pretty(&text.parse::<TokenStream>().unwrap()), text);
        }
    }
}
