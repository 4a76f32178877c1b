//! What holds for all money, all commands and all inputs.

use std::collections::BTreeMap;

use bank::accounts::balances::{v1, v2};
use bank::accounts::cash::Cash;
use bank::accounts::{
    Account, AccountCommand, AccountError, AccountEvent, Currency, Money, Payment, contract,
};
use bank::generate::{COMMITTED, generate};
use bank::import::{HEADER, Lines};
use es_runtime::integration::Downcast;
use es_runtime::prelude::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_contracts_history_keeps_its_laws() {
    es_runtime::testing::laws::<contract::Accounts>().check();
}

fn money() -> impl Strategy<Value = Money> {
    let most = Money::MAX.minor();
    prop_oneof![-10_000..=50_000i64, -most..=most]
        .prop_map(|minor| Money::from_minor(minor).unwrap())
}

fn payment() -> impl Strategy<Value = Payment> {
    let currency = prop_oneof![9 => Just(Currency::Dkk), 1 => Just(Currency::Eur)];
    let payment = |(amount, currency, text)| Payment {
        amount,
        currency,
        text,
    };
    (money(), currency, ".{0,8}").prop_map(payment)
}

fn command() -> impl Strategy<Value = AccountCommand> {
    use AccountCommand::*;
    prop_oneof![
        1 => Just(Open { owner: "Alice".into(), currency: Currency::Dkk }),
        5 => payment().prop_map(Deposit),
        4 => payment().prop_map(Withdraw),
        2 => payment().prop_map(|payment| Send { to: "bob".into(), payment }),
        2 => payment().prop_map(|payment| Receive { from: "bob".into(), payment }),
        1 => payment().prop_map(TakeBack),
        1 => Just(Close),
    ]
}

/// The events of an account that was opened and then asked for all of `commands`.
fn life(commands: Vec<AccountCommand>) -> Vec<Recorded<AccountEvent>> {
    let open = AccountCommand::Open {
        owner: "Alice".into(),
        currency: Currency::Dkk,
    };
    let (mut account, mut events) = (Account::default(), Vec::new());
    for command in std::iter::once(open).chain(commands) {
        for event in account.decide(command).unwrap_or_default() {
            account.evolve(&event);
            events.push(Recorded::example("alice", events.len() as u64 + 1, event));
        }
    }
    events
}

fn state(events: &[Recorded<AccountEvent>]) -> Account {
    let mut account = Account::default();
    events.iter().for_each(|event| account.evolve(&event.data));
    account
}

/// A bank of four accounts, with its cash, in memory. One account is kept in another currency.
struct Model {
    accounts: [Account; 4],
    cash: BTreeMap<String, Cash>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            accounts: Default::default(),
            cash: BTreeMap::new(),
        };
        for (number, currency) in [Currency::Dkk, Currency::Dkk, Currency::Dkk, Currency::Eur]
            .into_iter()
            .enumerate()
        {
            model
                .execute(
                    number,
                    AccountCommand::Open {
                        owner: "Alice".into(),
                        currency,
                    },
                )
                .unwrap();
        }
        model
    }
}

impl Model {
    fn execute(&mut self, number: usize, command: AccountCommand) -> Result<(), AccountError> {
        for event in self.accounts[number].decide(command)? {
            self.accounts[number].evolve(&event);
            let event = Recorded::example("alice", 1, event);
            for key in Cash::keys(&event) {
                let row = Cash::fold(self.cash.remove(&key), &event);
                self.cash.extend(row.map(|row| (key, row)));
            }
        }
        Ok(())
    }
}

fn generated(seed: u64, lines: usize) -> Vec<u8> {
    let mut out = Vec::new();
    generate(seed, lines, &mut out).unwrap();
    out
}

#[test]
fn the_committed_input_is_what_the_generator_makes() {
    let committed = include_bytes!("../data/transactions.csv");
    let (seed, lines) = COMMITTED;
    assert!(
        generated(seed, lines) == committed,
        "run `bank generate` again"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_survives_its_text(money in money()) {
        prop_assert_eq!(money.to_string().parse(), Ok(money));
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(&json, &money.minor().to_string());
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn no_money_is_beyond_the_bounds(minor: i64, text in "-?[0-9]{1,20}(\\.[0-9]{0,3})?") {
        let most = Money::MAX.minor();
        prop_assert_eq!(Money::from_minor(minor).is_some(), (-most..=most).contains(&minor));
        if let Ok(money) = text.parse::<Money>() {
            prop_assert!((-most..=most).contains(&money.minor()), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text: String) {
        text.parse::<Money>().ok();
        text.parse::<Currency>().ok();
    }

    #[test]
    fn no_balance_is_ever_negative(commands in vec(command(), 0..40)) {
        let events = life(commands);
        for end in 0..=events.len() {
            let balance = state(&events[..end]).balance();
            prop_assert!(Money::ZERO <= balance && balance <= Money::MAX);
        }
    }

    #[test]
    fn the_same_state_decides_the_same(commands in vec(command(), 0..20), next in command()) {
        let account = state(&life(commands));
        let before = account.clone();
        prop_assert_eq!(account.decide(next.clone()), account.decide(next));
        prop_assert_eq!(account, before);
    }

    #[test]
    fn both_versions_of_the_balances_agree_with_the_account(commands in vec(command(), 0..40)) {
        let events = life(commands);
        let one = events.iter().fold(None, v1::Balance::fold);
        let two = events.iter().fold(None, v2::Balance::fold);
        let closed = events.last().is_some_and(|event| event.data == AccountEvent::Closed);
        let amount = (!closed).then(|| state(&events).balance());
        prop_assert_eq!(one.map(|row| row.amount), amount);
        prop_assert_eq!(two.map(|row| row.amount), amount);
    }

    #[test]
    fn both_versions_of_the_contract_tell_the_same(commands in vec(command(), 0..40)) {
        use contract::{v1::Accounts as One, v2::Accounts as Two};
        let (events, mut account) = (life(commands), Account::default());
        for event in &events {
            account.evolve(&event.data);
            let two: Vec<Two> = Two::publish(event, &account).into_events();
            let one: Vec<One> = two.iter().flat_map(|two| One::downcast(two.clone()).unwrap()).collect();
            let older = |event| match event {
                Two::AccountOpened { account, owner, .. } => One::AccountOpened { account, owner },
                Two::BalanceChanged { account, new_balance: balance, .. } => {
                    One::BalanceChanged { account, balance }
                }
                Two::AccountClosed { account } => One::AccountClosed { account },
            };
            prop_assert_eq!(one, two.into_iter().map(older).collect::<Vec<_>>());
        }
    }

    #[test]
    fn transfers_conserve_money(
        deposits in vec(payment(), 0..10),
        transfers in vec((0..4usize, 0..4usize, payment()), 0..40),
    ) {
        let mut model = Model::default();
        for (number, payment) in deposits.into_iter().enumerate() {
            model.execute(number % 4, AccountCommand::Deposit(payment)).ok();
        }
        for (from, to, payment) in transfers {
            let send = AccountCommand::Send { to: to.to_string(), payment: payment.clone() };
            let receive = AccountCommand::Receive { from: from.to_string(), payment: payment.clone() };
            if model.execute(from, send).is_ok() && model.execute(to, receive).is_err() {
                model.execute(from, AccountCommand::TakeBack(payment)).unwrap();
            }
        }
        let held: i64 = model.accounts.iter().map(|account| account.balance().minor()).sum();
        let paid = model.cash.values().map(|cash| cash.paid_in - cash.paid_out);
        prop_assert_eq!(held, paid.sum::<i64>());
        prop_assert!(model.cash.values().all(|cash| cash.in_transit == 0));
    }

    #[test]
    fn the_generator_is_deterministic(seed: u64, lines in 0..400usize) {
        let input = generated(seed, lines);
        prop_assert!(input == generated(seed, lines));
        prop_assert_eq!(Lines::new(&input[..]).unwrap().count(), lines);
    }

    #[test]
    fn every_line_of_any_bytes_is_told_of(bytes: Vec<u8>) {
        let input = [HEADER.as_bytes(), b"\n", &bytes].concat();
        let lines: Vec<_> = Lines::new(&input[..]).unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = lines.iter().map(|line| line.number).collect();
        let numbered = bytes.split(|byte| *byte == b'\n').zip(2..);
        let full = numbered.filter(|(line, _)| !line.trim_ascii().is_empty());
        prop_assert_eq!(told, full.map(|(_, number)| number).collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_line_costs_itself_alone(broken in "[^\n]*[^\n\\s][^\n]*", at in 0..50usize) {
        let good: Vec<_> = (0..50).map(|n| format!("close,a-{n},,,,")).collect();
        let mut lines = good.clone();
        lines.insert(at, broken);
        let input = format!("{HEADER}\n{}\n", lines.join("\n"));
        let requests = Lines::new(input.as_bytes()).unwrap().map(|line| line.unwrap().request);
        let mut requests: Vec<_> = requests.collect();
        prop_assert_eq!(requests.len(), 51);
        drop(requests.remove(at));
        let accounts = requests.iter().map(|request| request.as_ref().unwrap().accounts().collect());
        let accounts: Vec<Vec<_>> = accounts.collect();
        prop_assert_eq!(accounts, (0..50).map(|n| vec![format!("a-{n}")]).collect::<Vec<_>>());
    }
}
