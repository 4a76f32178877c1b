//! Tokens as a person would write them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// `Vec<(u8, &'static str)>` rather than `Vec < (u8 , & 'static str) >`.
pub(crate) fn pretty(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    write(tokens.to_token_stream(), &mut text);
    text
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
