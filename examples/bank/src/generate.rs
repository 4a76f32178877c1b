//! Makes an input: a few thousand plausible lines, and some that are wrong in every way that lines
//! are wrong in. The same seed makes the same bytes, for ever.

use std::io::{self, Write};

use crate::accounts::{Currency, Money};
use crate::import::HEADER;

/// The seed and the length of `data/transactions.csv`.
pub const COMMITTED: (u64, usize) = (2026, 3500);

const FIRST: [&str; 20] = [
    "Alma", "Asger", "Clara", "Emil", "Freja", "Hugo", "Ida", "Jonas", "Karla", "Liam", "Luna",
    "Mads", "Nanna", "Oscar", "Petra", "Rasmus", "Signe", "Troels", "Vera", "Viggo",
];
const LAST: [&str; 12] = [
    "Bech", "Dahl", "Falk", "Gram", "Holm", "Juhl", "Krogh", "Lund", "Munk", "Nygaard", "Riis",
    "Skov",
];
const DEPOSITS: [&str; 4] = ["Løn", "Salary", "\"Sold my bike, finally\"", "Cash"];
const WITHDRAWALS: [&str; 4] = ["Cash machine", "Husleje", "\"Rent, and heating\"", "Brød"];
const TRANSFERS: [&str; 4] = [
    "Dinner",
    "Fødselsdag",
    "\"The \"\"good\"\" chairs\"",
    "Thanks!",
];

/// Accounts that are opened before anything else happens.
const START: usize = 40;
/// One line in so many is wrong.
const WRONG: usize = 90;

/// Writes the header and `lines` lines.
///
/// # Errors
/// When `out` cannot be written to.
pub fn generate(seed: u64, lines: usize, out: &mut impl Write) -> io::Result<()> {
    let mut customers = Customers {
        random: Random(seed),
        open: Vec::new(),
        opened: 0,
    };
    writeln!(out, "{HEADER}")?;
    for n in 1..=lines {
        let line = match n % WRONG {
            0 => customers.wrong(n / WRONG),
            _ => customers.next().into_bytes(),
        };
        out.write_all(&line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// An open account, as far as the generator keeps track.
#[derive(Clone)]
struct Customer {
    id: String,
    currency: Currency,
    balance: i64,
}

struct Customers {
    random: Random,
    open: Vec<Customer>,
    /// How many accounts there ever were.
    opened: usize,
}

impl Customers {
    /// A line that the bank accepts.
    fn next(&mut self) -> String {
        if self.open.len() < START {
            return self.open();
        }
        match self.random.below(100) {
            0..4 => self.open(),
            4..40 => self.deposit(),
            40..62 => self.withdraw(),
            62..98 => self.transfer(),
            _ => self.close(),
        }
    }

    fn open(&mut self) -> String {
        // A step that shares no factor with the number of names meets each of them once a round.
        const NAMES: usize = FIRST.len() * LAST.len();
        let (round, name) = (self.opened / NAMES, self.opened * 97 % NAMES);
        let (first, last) = (FIRST[name % FIRST.len()], LAST[name / FIRST.len()]);
        let currency = match self.random.below(10) {
            0 => Currency::Sek,
            1 | 2 => Currency::Eur,
            _ => Currency::Dkk,
        };
        let mut id = format!("{first}-{last}").to_lowercase();
        if round > 0 {
            id = format!("{id}-{}", round + 1);
        }
        self.opened += 1;
        let line = format!("open,{id},,,{currency},{first} {last}");
        self.open.push(Customer {
            id,
            currency,
            balance: 0,
        });
        line
    }

    fn deposit(&mut self) -> String {
        let (customer, amount) = (
            self.random.below(self.open.len()),
            self.random.amount(500_000),
        );
        let text = self.random.of(&DEPOSITS);
        let customer = &mut self.open[customer];
        customer.balance += amount;
        line("deposit", customer, "", amount, text)
    }

    fn withdraw(&mut self) -> String {
        let Some(customer) = self.solvent() else {
            return self.deposit();
        };
        let amount = self.random.amount(self.open[customer].balance);
        let text = self.random.of(&WITHDRAWALS);
        let customer = &mut self.open[customer];
        customer.balance -= amount;
        line("withdraw", customer, "", amount, text)
    }

    fn transfer(&mut self) -> String {
        let Some(from) = self.solvent() else {
            return self.deposit();
        };
        let currency = self.open[from].currency;
        let others = (0..self.open.len()).filter(|to| *to != from);
        let others: Vec<_> = others
            .filter(|to| self.open[*to].currency == currency)
            .collect();
        if others.is_empty() {
            return self.deposit();
        }
        let amount = self.random.amount(self.open[from].balance);
        let to = *self.random.of(&others);
        let text = self.random.of(&TRANSFERS);
        self.open[from].balance -= amount;
        self.open[to].balance += amount;
        line(
            "transfer",
            &self.open[from],
            &self.open[to].id,
            amount,
            text,
        )
    }

    /// Closes an empty account, or else empties one.
    fn close(&mut self) -> String {
        if let Some(empty) = self.open.iter().position(|customer| customer.balance == 0) {
            return format!("close,{},,,,", self.open.remove(empty).id);
        }
        let customer = self.random.below(self.open.len());
        let customer = &mut self.open[customer];
        let amount = std::mem::take(&mut customer.balance);
        line("withdraw", customer, "", amount, "Moving on")
    }

    /// Somebody who has money.
    fn solvent(&mut self) -> Option<usize> {
        let from = self.random.below(self.open.len());
        let mut all = (from..self.open.len()).chain(0..from);
        all.find(|customer| self.open[*customer].balance > 1_00)
    }

    /// A line that the bank refuses; `kind` runs through all that can be wrong.
    fn wrong(&mut self, kind: usize) -> Vec<u8> {
        let somebody = self.solvent().unwrap_or(0);
        let Customer {
            id,
            currency,
            balance,
        } = self.open[somebody].clone();
        let other = Currency::ALL[(currency as usize + 1) % Currency::ALL.len()];
        let (more, some) = (money(balance + 25_00), money(1_00));
        let line = match kind % 13 {
            0 => format!("deposit,nobody,,100.00,{currency},Who is that?"),
            1 => format!("withdraw,{id},,{more},{currency},More than there is"),
            2 => format!("deposit,{id},,a lot,{currency},Not a number"),
            3 => format!("deposit,{id},,10.00"),
            4 => return [b"deposit,", id.as_bytes(), b",,5.00,DKK,L\xf8n in Latin-1"].concat(),
            5 => format!("deposit,{id},,10.00,{currency},\"Where does this end?"),
            6 => format!("deposit,{id},,-10.00,{currency},Less than nothing"),
            7 => format!("open,{id},,,{currency},Somebody else"),
            8 => format!("deposit,{id},,10.00,{other},The wrong currency"),
            9 => format!("lend,{id},,10.00,{currency},Not a kind of line"),
            10 => format!("transfer,{id},nobody,{some},{currency},Comes back"),
            11 => format!("deposit,{id},,99999999999999.99,{currency},Too much"),
            _ => format!("close,{id},,,,Not empty"),
        };
        line.into_bytes()
    }
}

fn line(kind: &str, customer: &Customer, to: &str, amount: i64, text: &str) -> String {
    let Customer { id, currency, .. } = customer;
    format!("{kind},{id},{to},{},{currency},{text}", money(amount))
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap_or(Money::MAX)
}

/// SplitMix64, written out: a library's generator may change with its version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below a usize"
    )]
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// From 0.01 up to `most`, mostly small.
    fn amount(&mut self, most: i64) -> i64 {
        let most = usize::try_from(most).unwrap_or(1);
        let (one, two) = (self.below(most), self.below(most));
        i64::try_from(one.min(two)).unwrap_or(0) + 1
    }
}
