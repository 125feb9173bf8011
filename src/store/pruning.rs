//! Deleting old rows, a little at a time.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, TryGetable, Value,
};
use time::OffsetDateTime;

use super::{Store, StoreError, to_millis};

/// Deletes rows of `E` whose `time` is before `before`, the oldest first, at most `limit`; returns how many. `K` is the type of
/// `key`, by which they are deleted: not every database can delete a number of rows in an order.
pub(super) async fn delete_older<E, K>(
    store: &Store,
    (key, time): (E::Column, E::Column),
    before: OffsetDateTime,
    limit: u64,
) -> Result<u64, StoreError>
where
    E: EntityTrait,
    K: TryGetable + Into<Value> + Send + Sync,
{
    let old = time.lt(to_millis(before));
    let keys: Vec<K> = E::find()
        .select_only()
        .column(key)
        .filter(old.clone())
        .order_by_asc(time)
        .limit(limit)
        .into_tuple()
        .all(&store.reader)
        .await?;
    if keys.is_empty() {
        return Ok(0);
    }
    // What was renewed since it was read stays.
    store.write(E::delete_many().filter(key.is_in(keys)).filter(old).into_query()).await
}
