//! A service that writes a letter for every change of an account.

use es_runtime::consume::{Consumer, Feed, Handler, HandlerError};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::query;
use es_runtime::store::{Store, Tx};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Accounts {
    BalanceChanged { to: i64 },
}

struct Letters;

impl Handler<Accounts> for Letters {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        let table = "CREATE TABLE IF NOT EXISTS letter (account TEXT, text TEXT)";
        query(table).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let Accounts::BalanceChanged { to } = event.data;
        let letter = query("INSERT INTO letter VALUES (?, 'Your balance is ' || ? || '.')");
        let letter = letter.bind(&event.subject).bind(to);
        letter.execute(tx.sqlite()?).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> es_runtime::Result<()> {
    let bank = std::env::var("BANK").unwrap_or("http://127.0.0.1:8080".to_owned());
    let inbox = Store::connect("sqlite://letters.db").await?;
    let consumer = Consumer::new("letters", inbox)
        .stream::<Accounts>(Feed::http(bank))
        .handle(Letters)
        .start()
        .await?;
    consumer.until_shutdown().await
}
