//! Pages of lists.

use async_graphql::SimpleObject;

use crate::{auth::error::FieldError, domain::invalid::Invalid, graphql::error::ApiError};

const MAX_PAGE: i32 = 100;

/// Where a page lies in its list.
#[derive(SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of<'a>(
        mut cursors: impl DoubleEndedIterator<Item = &'a str>,
        has_next_page: bool,
        has_previous_page: bool,
    ) -> Self {
        let start_cursor = cursors.next().map(str::to_owned);
        let end_cursor = cursors.next_back().map(str::to_owned).or_else(|| start_cursor.clone());
        Self { has_next_page, has_previous_page, start_cursor, end_cursor }
    }
}

pub(super) fn page_size(first: i32) -> Result<u32, ApiError> {
    u32::try_from(first).ok().filter(|_| first <= MAX_PAGE).ok_or_else(|| {
        let invalid = Invalid::new("OUT_OF_RANGE", "A page has 0 to 100 items.");
        ApiError::bad_input(FieldError::at(&["first"], invalid))
    })
}
