//! Wrong questions to a view do not compile.

macro_rules! question {
    ($question:literal) => {
        concat!(
            "use es_runtime::prelude::*;
             #[derive(Projection)]
             #[projection(name = \"balances\", version = 1, index(owner, amount))]
             struct Balance {
                 owner: String,
                 #[projection(index)]
                 amount: i64,
                 #[projection(index)]
                 closed: Option<Timestamp>,
                 #[projection(unique)]
                 iban: String,
             }
             #[derive(Projection)]
             #[projection(name = \"cards\", version = 1)]
             struct Card {
                 #[projection(index)]
                 owner: String,
             }
             fn question(bank: &es_runtime::Service, text: String) {
                 let balances = bank.view::<Balance>();
                 let _ = balances.",
            $question,
            ";
             }
             ```"
        )
    };
}

macro_rules! right {
    ($($question:literal)*) => {$(
        #[doc = concat!("```\n", question!($question))]
        const _: () = ();
    )*};
}

macro_rules! wrong {
    ($($code:literal $question:literal)*) => {$(
        #[doc = concat!("```compile_fail,", $code, "\n", question!($question))]
        const _: () = ();
    )*};
}

right! {
    "by(Balance::BY_AMOUNT, &5)"
    "by(Balance::BY_CLOSED, &None)"
    "by(Balance::BY_OWNER_AND_AMOUNT, &(text, 5))"
    "unique(Balance::BY_IBAN, &text)"
    "range(Balance::BY_AMOUNT, 5..=7)"
    "range(Balance::BY_IBAN, text..)"
    "range(Balance::BY_CLOSED.present(), ..)"
}

wrong! {
    // Of another read model, of another type, in another order.
    "E0308" "by(Card::BY_OWNER, &text)"
    "E0308" "by(Balance::BY_AMOUNT, &text)"
    "E0308" "by(Balance::BY_OWNER_AND_AMOUNT, &(5, text))"
    // One of many, and many of one.
    "E0308" "unique(Balance::BY_AMOUNT, &5)"
    "E0308" "by(Balance::BY_IBAN, &text)"
    // A range of what may be nothing.
    "E0277" "range(Balance::BY_CLOSED, ..)"
    // Without an index.
    "E0599" "by(Balance::BY_OWNER, &text)"
}
