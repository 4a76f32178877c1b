//! Asks before something is destroyed.

use std::io::{self, BufRead, IsTerminal, Write};

use super::command::{Refusal, failed};

/// Goes on if somebody said `--yes`, or types the name now; without a terminal there is nobody to
/// ask.
pub(super) fn confirm(yes: bool, what: &str, name: &str) -> Result<(), Refusal> {
    if yes {
        return Ok(());
    }
    let (input, mut output) = (io::stdin().lock(), io::stderr());
    if !input.is_terminal() || !output.is_terminal() {
        return Err(Refusal::Misused(format!(
            "{what}: say --yes, since nobody can be asked here"
        )));
    }
    ask(input, &mut output, what, name)
}

fn ask(
    mut input: impl BufRead,
    output: &mut impl Write,
    what: &str,
    name: &str,
) -> Result<(), Refusal> {
    write!(output, "{what}. Type `{name}` to go on: ")?;
    output.flush()?;
    let mut typed = String::new();
    input.read_line(&mut typed)?;
    match typed.trim() == name {
        true => Ok(()),
        false => failed(format!("that is not `{name}`: nothing was done")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_alone_goes_on() {
        for (typed, goes_on) in [
            ("balances@1\n", true),
            ("  balances@1", true),
            ("y\n", false),
            ("balances@2\n", false),
            ("", false),
        ] {
            let mut asked = Vec::new();
            let answer = ask(
                typed.as_bytes(),
                &mut asked,
                "It will be gone",
                "balances@1",
            );
            assert_eq!(answer.is_ok(), goes_on, "{typed}");
            let asked = String::from_utf8(asked).unwrap();
            assert_eq!(asked, "It will be gone. Type `balances@1` to go on: ");
        }
    }
}
