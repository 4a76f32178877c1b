//! The account's rules: allowed, forbidden, nothing to do. No database, no mocks, no async.

use bank::accounts::AccountCommand::*;
use bank::accounts::AccountEvent::{
    self, Closed, Deposited, Opened, Received, Returned, Sent, Withdrawn,
};
use bank::accounts::{Account, AccountError, Currency, Money, Payment};
use es_runtime::aggregate::Given;
use es_runtime::prelude::*;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn dkk(amount: &str) -> Payment {
    Payment {
        amount: money(amount),
        currency: Currency::Dkk,
        text: "Rent".into(),
    }
}

fn eur(amount: &str) -> Payment {
    Payment {
        currency: Currency::Eur,
        ..dkk(amount)
    }
}

fn opened() -> AccountEvent {
    Opened {
        owner: "Alice".into(),
        currency: Currency::Dkk,
    }
}

fn open() -> Given<Account> {
    given([opened()])
}

fn holding(amount: &str) -> Given<Account> {
    given([opened(), Deposited(dkk(amount))])
}

fn closed() -> Given<Account> {
    given([opened(), Closed])
}

mod allowed {
    use super::*;

    #[test]
    fn a_customer_opens_an_account() {
        let open = Open {
            owner: "Alice".into(),
            currency: Currency::Dkk,
        };
        let account = given::<Account>([]).when(open).then([opened()]);
        assert_eq!(
            (account.balance(), account.currency()),
            (Money::ZERO, Currency::Dkk)
        );
    }

    #[test]
    fn money_comes_in() {
        let account = open()
            .when(Deposit(dkk("100.00")))
            .then([Deposited(dkk("100.00"))]);
        assert_eq!(account.balance(), money("100.00"));
    }

    #[test]
    fn money_goes_out() {
        let account = holding("100.00")
            .when(Withdraw(dkk("30.50")))
            .then([Withdrawn(dkk("30.50"))]);
        assert_eq!(account.balance(), money("69.50"));
    }

    #[test]
    fn all_of_it_goes_out() {
        let account = holding("100.00")
            .when(Withdraw(dkk("100.00")))
            .then([Withdrawn(dkk("100.00"))]);
        assert_eq!(account.balance(), Money::ZERO);
    }

    #[test]
    fn a_transfer_leaves() {
        let (to, payment) = ("bob".to_owned(), dkk("40.00"));
        let send = Send {
            to: to.clone(),
            payment: payment.clone(),
        };
        let account = holding("100.00").when(send).then([Sent { to, payment }]);
        assert_eq!(account.balance(), money("60.00"));
    }

    #[test]
    fn a_transfer_arrives() {
        let (from, payment) = ("bob".to_owned(), dkk("40.00"));
        let receive = Receive {
            from: from.clone(),
            payment: payment.clone(),
        };
        let account = open().when(receive).then([Received { from, payment }]);
        assert_eq!(account.balance(), money("40.00"));
    }

    #[test]
    fn a_refused_transfer_comes_back() {
        let send = Send {
            to: "bob".into(),
            payment: dkk("40.00"),
        };
        let sent = holding("100.00").and(send);
        let account = sent
            .when(TakeBack(dkk("40.00")))
            .then([Returned(dkk("40.00"))]);
        assert_eq!(account.balance(), money("100.00"));
    }

    #[test]
    fn the_limit_itself_is_held() {
        let rest = Account::LIMIT - money("100.00");
        let rest = Payment {
            amount: rest,
            ..dkk("0")
        };
        let account = holding("100.00")
            .when(Deposit(rest.clone()))
            .then([Deposited(rest)]);
        assert_eq!(account.balance(), Account::LIMIT);
    }

    #[test]
    fn an_empty_account_is_closed() {
        open().when(Close).then([Closed]);
        holding("5.00")
            .and(Withdraw(dkk("5.00")))
            .when(Close)
            .then([Closed]);
    }
}

mod forbidden {
    use super::*;

    #[test]
    fn opening_an_account_twice() {
        let open_again = Open {
            owner: "Bob".into(),
            currency: Currency::Eur,
        };
        open()
            .when(open_again.clone())
            .then_error(AccountError::AlreadyOpened);
        closed()
            .when(open_again)
            .then_error(AccountError::AlreadyOpened);
    }

    #[test]
    fn moving_money_where_there_is_no_account() {
        let payment = || dkk("1.00");
        for command in [
            Deposit(payment()),
            Withdraw(payment()),
            Send {
                to: "bob".into(),
                payment: payment(),
            },
            Receive {
                from: "bob".into(),
                payment: payment(),
            },
            TakeBack(payment()),
            Close,
        ] {
            given::<Account>([])
                .when(command)
                .then_error(AccountError::NotOpened);
        }
    }

    #[test]
    fn depositing_into_a_closed_account() {
        closed()
            .when(Deposit(dkk("1.00")))
            .then_error(AccountError::Closed);
    }

    #[test]
    fn withdrawing_from_a_closed_account() {
        closed()
            .when(Withdraw(dkk("1.00")))
            .then_error(AccountError::Closed);
    }

    #[test]
    fn sending_to_a_closed_account() {
        let receive = Receive {
            from: "bob".into(),
            payment: dkk("1.00"),
        };
        closed().when(receive).then_error(AccountError::Closed);
    }

    #[test]
    fn withdrawing_more_than_there_is() {
        let short = money("50.00");
        holding("100.00")
            .when(Withdraw(dkk("150.00")))
            .then_error(AccountError::Insufficient { short });
    }

    #[test]
    fn sending_more_than_there_is() {
        let (send, short) = (
            Send {
                to: "bob".into(),
                payment: dkk("100.01"),
            },
            money("0.01"),
        );
        holding("100.00")
            .when(send)
            .then_error(AccountError::Insufficient { short });
    }

    #[test]
    fn depositing_nothing_or_less() {
        open()
            .when(Deposit(dkk("0")))
            .then_error(AccountError::NotPositive);
        open()
            .when(Deposit(dkk("-1.00")))
            .then_error(AccountError::NotPositive);
    }

    #[test]
    fn withdrawing_less_than_nothing() {
        holding("10.00")
            .when(Withdraw(dkk("-1.00")))
            .then_error(AccountError::NotPositive);
    }

    #[test]
    fn paying_in_another_currency() {
        open()
            .when(Deposit(eur("1.00")))
            .then_error(AccountError::KeptIn(Currency::Dkk));
        holding("10.00")
            .when(Withdraw(eur("1.00")))
            .then_error(AccountError::KeptIn(Currency::Dkk));
    }

    #[test]
    fn sending_into_another_currency() {
        let receive = Receive {
            from: "bob".into(),
            payment: eur("1.00"),
        };
        open()
            .when(receive)
            .then_error(AccountError::KeptIn(Currency::Dkk));
    }

    #[test]
    fn holding_more_than_the_limit() {
        for amount in [Account::LIMIT, Money::MAX] {
            let all = Payment { amount, ..dkk("0") };
            holding("0.01")
                .when(Deposit(all))
                .then_error(AccountError::TooMuch);
        }
    }

    #[test]
    fn closing_an_account_that_holds_money() {
        let balance = money("0.01");
        holding("0.01")
            .when(Close)
            .then_error(AccountError::NotEmpty { balance });
    }
}

mod nothing_to_do {
    use super::*;

    #[test]
    fn closing_a_closed_account() {
        closed().when(Close).then_nothing();
    }

    #[test]
    fn refusing_a_line_twice_keeps_the_first_reason() {
        use bank::import::{Import, ImportCommand, ImportEvent, Refused};
        let refused = |reason: &str| Refused {
            line: 7,
            reason: reason.into(),
        };
        let before = given::<Import>([ImportEvent::LineRefused(refused("first"))]);
        let import = before
            .when(ImportCommand::Refuse(refused("second")))
            .then_nothing();
        assert_eq!((import.reason(7), import.reason(8)), (Some("first"), None));
    }
}
