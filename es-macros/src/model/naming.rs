//! From Rust's names to stored names and handlers, and what a stored name may be.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::LitStr;
use syn::ext::IdentExt as _;

use crate::diag::{self, Errors};

/// A stored name and what decided it: a string, or the variant's own name.
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: TokenStream,
}

impl Name {
    /// What an option says.
    pub(crate) fn said(text: &LitStr) -> Self {
        Self {
            text: text.value(),
            at: text.to_token_stream(),
        }
    }

    /// `{prefix}{variant}`, in kebab-case.
    pub(crate) fn derived(prefix: &str, variant: &Ident) -> Self {
        Self {
            text: format!("{prefix}{}", kebab(variant)),
            at: variant.to_token_stream(),
        }
    }

    /// Reports a name that may not be stored.
    pub(crate) fn check(self, errors: &Errors, grammar: Grammar) -> Self {
        if !grammar.accepts(&self.text) {
            errors.push(diag::bad_name(grammar, &self.text, &self.at));
        }
        self
    }
}

/// What a stored name may be made of. Names are keys in databases, parts of URLs and routing keys;
/// characters that mean something there are kept out.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Grammar {
    /// `account`: of an aggregate or a read model. The first `-` of a stream's id ends it.
    Family,
    /// `account-opened`: of a command, an integration event or a public stream.
    Kebab,
    /// `account.opened`: of an internal event.
    Dotted,
    /// An older name of an internal event: a fact, whatever it looks like.
    Old,
}

impl Grammar {
    pub(crate) fn accepts(self, name: &str) -> bool {
        if self == Self::Old {
            return !name.is_empty() && !name.chars().any(char::is_control);
        }
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| self.allows(c))
            && !name.split('.').any(str::is_empty)
    }

    fn allows(self, c: char) -> bool {
        c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || match self {
                Self::Family => c == '_',
                Self::Kebab => matches!(c, '_' | '-'),
                Self::Dotted => matches!(c, '_' | '-' | '.'),
                Self::Old => true,
            }
    }

    pub(crate) fn rule(self) -> &'static str {
        match self {
            Self::Family => "lower-case letters, digits and `_`, a letter first",
            Self::Kebab => "lower-case letters, digits, `-` and `_`, a letter first",
            Self::Dotted => {
                "lower-case letters, digits, `-`, `_` and single dots between them, a letter first"
            }
            Self::Old => "at least one character, and no control characters",
        }
    }

    /// The nearest name that is allowed, if there is one.
    pub(crate) fn fix(self, name: &str) -> Option<String> {
        let between = if self == Self::Family { "_" } else { "-" };
        let mend = |part: &str| {
            part.split(|c: char| !c.is_alphanumeric())
                .flat_map(words)
                .collect::<Vec<_>>()
                .join(between)
        };
        let fixed = match self {
            Self::Dotted => name.split('.').map(mend).collect::<Vec<_>>().join("."),
            _ => mend(name),
        };
        let fixed = fixed.trim_start_matches(|c: char| !c.is_alphabetic());
        self.accepts(fixed).then(|| fixed.to_owned())
    }
}

/// `LimitRaised` → `limit-raised`.
fn kebab(ident: &Ident) -> String {
    words(&ident.unraw().to_string()).join("-")
}

/// `account-opened` → `AccountOpened`, a variant's name.
pub(crate) fn variant(name: &str, span: Span) -> Ident {
    let capital = |word: String| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    identifier(
        name.split(|c: char| !c.is_alphanumeric())
            .flat_map(words)
            .map(capital)
            .collect(),
        span,
    )
}

/// `newBalance` → `new_balance`, a field's name.
pub(crate) fn field(name: &str, span: Span) -> Ident {
    let parts = name.split(|c: char| !c.is_alphanumeric()).flat_map(words);
    identifier(parts.collect::<Vec<_>>().join("_"), span)
}

/// `Withdraw` → `withdraw`, a method's name. Keywords become raw, `Move` → `r#move`; what can be no
/// name even so gets an underscore, `Super` → `super_`, `_1` → `_1`, `__` → `__`.
pub(crate) fn method(prefix: &str, ident: &Ident) -> Ident {
    let name = words(&ident.unraw().to_string()).join("_");
    identifier(format!("{prefix}{name}"), ident.span())
}

/// The name as an identifier: keywords become raw, and what can be no name even so gets an
/// underscore.
fn identifier(name: String, span: Span) -> Ident {
    let is_ident = |name: &str| syn::parse_str::<Ident>(name).is_ok();
    match &*name {
        "self" | "Self" | "super" | "crate" => Ident::new(&format!("{name}_"), span),
        // `gen` is a keyword since edition 2024, which syn leaves to its users.
        _ if name != "gen" && is_ident(&name) => Ident::new(&name, span),
        _ if is_ident(&format!("r#{name}")) => Ident::new_raw(&name, span),
        _ if is_ident(&format!("_{name}")) => Ident::new(&format!("_{name}"), span),
        _ => Ident::new("__", span),
    }
}

/// A name's words in lower case. A word ends where a capital follows a small letter or a digit,
/// and an acronym ends before its last capital: `HTTPServer2Started` → `http server2 started`.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let after = letters.get(i + 1);
        let starts = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if starts || letter == '_' {
            words.push(String::new());
        }
        if letter != '_' {
            words
                .last_mut()
                .into_iter()
                .for_each(|word| word.extend(letter.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> Ident {
        syn::parse_str(name).unwrap()
    }

    #[test]
    fn variants_become_kebab_case() {
        for (variant, name) in [
            ("Opened", "opened"),
            ("LimitRaised", "limit-raised"),
            ("HTTPServerStarted", "http-server-started"),
            ("IBANChanged", "iban-changed"),
            ("PaidByIBAN", "paid-by-iban"),
            ("Version2Adopted", "version2-adopted"),
            ("V2", "v2"),
            ("X", "x"),
            ("ABTest", "ab-test"),
            ("Snake_Case", "snake-case"),
            ("r#Type", "type"),
            ("r#move", "move"),
        ] {
            assert_eq!(kebab(&ident(variant)), name);
        }
    }

    #[test]
    fn variants_become_methods() {
        for (variant, method) in [
            ("Withdraw", "withdraw"),
            ("RaiseLimit", "raise_limit"),
            ("Move", "r#move"),
            ("Gen", "r#gen"),
            ("Super", "super_"),
            ("Crate", "crate_"),
            ("Self_", "self_"),
            ("__", "__"),
            ("_1", "_1"),
        ] {
            assert_eq!(self::method("", &ident(variant)).to_string(), method);
        }
        assert_eq!(method("on_", &ident("Moved")).to_string(), "on_moved");
    }

    #[test]
    fn names_that_are_not_allowed_are_mended() {
        for (grammar, name, fixed) in [
            (Grammar::Family, "Account", Some("account")),
            (Grammar::Family, "bank-account", Some("bank_account")),
            (Grammar::Family, "bank.account", Some("bank_account")),
            (Grammar::Family, "2nd", Some("nd")),
            (Grammar::Family, "", None),
            (Grammar::Family, "åben", None),
            (Grammar::Kebab, "AccountOpened", Some("account-opened")),
            (Grammar::Kebab, "account.opened", Some("account-opened")),
            (
                Grammar::Dotted,
                "account.LimitRaised",
                Some("account.limit-raised"),
            ),
            (Grammar::Dotted, "account opened", Some("account-opened")),
            (Grammar::Old, "", None),
        ] {
            assert!(!grammar.accepts(name), "{name}");
            assert_eq!(grammar.fix(name).as_deref(), fixed, "{name}");
        }
    }

    /// All words of up to five letters out of six that are different in kind.
    #[test]
    fn what_is_mended_is_allowed_and_what_is_allowed_is_left_alone() {
        let longer = |word: &String| ["a", "B", "1", "_", "-", "."].map(|c| format!("{word}{c}"));
        let mut names = vec![String::new()];
        for _ in 0..5 {
            names.extend(names.iter().flat_map(longer).collect::<Vec<_>>());
        }
        for grammar in [Grammar::Family, Grammar::Kebab, Grammar::Dotted] {
            for fixed in names.iter().filter_map(|name| grammar.fix(name)) {
                assert!(grammar.accepts(&fixed), "{fixed}");
                assert_eq!(grammar.fix(&fixed).as_ref(), Some(&fixed));
            }
        }
        for name in names
            .iter()
            .filter_map(|name| syn::parse_str::<Ident>(name).ok())
        {
            let derived = kebab(&name);
            assert!(!derived.starts_with(char::is_lowercase) || Grammar::Kebab.accepts(&derived));
            method("", &name);
        }
    }

    #[test]
    fn an_old_name_is_a_fact() {
        assert!(Grammar::Old.accepts("Bank.Account/Opened v1"));
        assert!(!Grammar::Old.accepts("a\n"));
    }
}
