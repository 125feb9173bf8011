//! Bringing accounts of another system.
//!
//! A batch is one transaction: its accounts come with the note of where they came from, or not at all. So an import that was
//! killed is simply run again, and one that is run again changes nothing. Rows that cannot come are left out and named; none
//! comes by halves.

mod prepare;

use std::collections::{BTreeMap, HashSet};

use secrecy::SecretString;
use time::OffsetDateTime;

pub(super) use self::prepare::source_id;
use self::prepare::{Prepared, Preparing};
use super::{accounts::Accounts, error::AuthError};
use crate::{
    crypto::sha256,
    domain::{
        audit::{Action, Fact},
        ids::UserId,
        origin::Origin,
        user::Username,
    },
    store::{
        MayConflict, StoreError, Tx,
        imports::{self, Known, NewImport},
    },
};

/// The epoch that accounts come with. It is another one as soon as a password is changed or sessions are ended here.
pub(super) const EPOCH_AT_IMPORT: i64 = 0;

/// How often a batch is tried that others are in the way of, by taking an address while it is written.
const TRIES: u32 = 5;

/// An account of another system, as it is there.
pub struct SourceUser {
    /// Where it stands, for whoever reads the report, such as `row 17`.
    pub place: String,
    /// Its id there; `None` makes one of the email address or username.
    pub id: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// The username.
    pub username: Option<String>,
    /// The password hash, in a form that [`crate::crypto::stored_hash::import`] takes.
    pub password_hash: Option<SecretString>,
    /// Whether the mailbox is known to be theirs.
    pub email_verified: bool,
    /// Whether the account may not be used.
    pub blocked: bool,
    /// The names of the roles there.
    pub roles: Vec<String>,
    /// When it was made.
    pub created_at: Option<OffsetDateTime>,
}

/// How accounts are to come.
#[derive(Debug, Clone)]
pub struct ImportSettings {
    /// Names the system that they come from: its ids are unique within it.
    pub source: String,
    /// Roles there, and what they are called here; `None` leaves them behind.
    pub roles: BTreeMap<String, Option<String>>,
    /// Do everything, and take it back.
    pub rehearse: bool,
}

/// What there is to say about one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands in the source.
    pub place: String,
    /// Whether the row was left out; otherwise it came, changed.
    pub left_out: bool,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people. It never quotes the row.
    pub message: String,
}

/// What came of an import so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read.
    pub read: u64,
    /// Accounts that were made.
    pub imported: u64,
    /// Rows that came with an earlier import. Whatever has become of their accounts is as it was.
    pub unchanged: u64,
    /// Rows whose accounts were erased here since. They do not come back.
    pub erased: u64,
    /// Rows that could not come.
    pub left_out: u64,
    /// Accounts that were made without a password: there was none.
    pub without_password: u64,
}

/// An import that is under way.
pub struct Importer {
    accounts: Accounts,
    settings: ImportSettings,
    began_at: OffsetDateTime,
    counts: Counts,
    /// With a rehearsal: what the accounts have that would be there by now. Two digests and the id of each.
    rehearsed: HashSet<[u8; 16]>,
}

/// What a batch comes to.
#[derive(Default)]
struct Decided {
    new: Vec<NewImport>,
    findings: Vec<Finding>,
    unchanged: u64,
    erased: u64,
    without_password: u64,
}

/// Why the transaction of a batch was not committed.
enum Undone {
    Failed(StoreError),
    /// Somebody else took an address or a name meanwhile.
    Raced,
    /// It was only a rehearsal.
    Rehearsed(Decided),
}

impl Importer {
    /// An import that begins now.
    #[must_use]
    pub fn begin(accounts: Accounts, settings: ImportSettings) -> Self {
        let began_at = accounts.clock.now();
        Self { accounts, settings, began_at, counts: Counts::default(), rehearsed: HashSet::new() }
    }

    /// Brings a batch, all of it that can come or none; returns what there is to say about its rows.
    ///
    /// # Errors
    /// When the database cannot. The batches before are there, and the next import goes on behind them.
    pub async fn bring(&mut self, users: Vec<SourceUser>) -> Result<Vec<Finding>, AuthError> {
        let preparing = Preparing {
            settings: &self.settings,
            grants: &self.accounts.grants,
            now: self.began_at,
            entropy: &*self.accounts.entropy,
            no_password: self.accounts.hasher.of_no_password(),
        };
        let read = users.len() as u64;
        let prepared: Vec<_> = users.into_iter().map(|user| preparing.prepare(user)).collect();
        let decided = self.decide_and_write(&prepared).await?;
        if self.settings.rehearse {
            self.rehearsed.extend(decided.new.iter().flat_map(digests));
        }
        self.count(read, &decided);
        Ok(decided.findings)
    }

    /// Rows of the source that could not even be read.
    pub fn unreadable(&mut self, rows: u64) {
        self.counts.read += rows;
        self.counts.left_out += rows;
    }

    /// What came of it so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Writes down what was done, if anything was.
    ///
    /// # Errors
    /// When the database cannot.
    pub async fn finish(self) -> Result<Counts, AuthError> {
        let Counts { read, imported, unchanged, erased, left_out, .. } = self.counts;
        if imported > 0 && !self.settings.rehearse {
            let source = &self.settings.source;
            let detail = format!(
                "source={source} read={read} imported={imported} unchanged={unchanged} erased={erased} left_out={left_out}"
            );
            let fact = Fact::new(Action::AccountsImported, &Origin::command_line()).detailed(detail);
            self.accounts.journal.write(fact).await?;
        }
        Ok(self.counts)
    }

    async fn decide_and_write(&self, prepared: &[Prepared]) -> Result<Decided, AuthError> {
        let mut tries = 1;
        loop {
            let written = self.accounts.store.transaction(|tx| async move {
                let decided = self.decide(&tx, prepared).await?;
                let source = &self.settings.source;
                if !imports::insert(&tx, source, &decided.new, self.began_at).await? {
                    return Err(Undone::Raced);
                }
                if self.settings.rehearse { Err(Undone::Rehearsed(decided)) } else { Ok(decided) }
            });
            match written.await {
                Ok(decided) | Err(Undone::Rehearsed(decided)) => return Ok(decided),
                Err(Undone::Raced) if tries < TRIES => tries += 1,
                Err(Undone::Raced) => return Err(super::error::Fault::Contended.into()),
                Err(Undone::Failed(error)) => return Err(error.into()),
            }
        }
    }

    /// Looks up what the rows would collide with, and says which of them come.
    async fn decide(&self, tx: &Tx, prepared: &[Prepared]) -> Result<Decided, StoreError> {
        let candidates = || prepared.iter().filter_map(|row| row.candidate.as_ref());
        let ids: Vec<_> = candidates().map(|new| new.source_id.as_str()).collect();
        let emails: Vec<_> = candidates().filter_map(|new| Some(new.user.email.as_ref()?.as_str())).collect();
        let names: Vec<_> = candidates().filter_map(|new| Some(new.user.username.as_ref()?.key())).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut known = imports::known(tx, &self.settings.source, &ids).await?;
        let mut taken = imports::taken(tx, &emails, &names).await?;

        let mut decided = Decided::default();
        for row in prepared {
            let Some(candidate) = &row.candidate else {
                decided.findings.extend(row.findings.iter().cloned());
                continue;
            };
            let rehearsed = self.rehearsed.contains(&id_digest(&candidate.source_id));
            if let Some(earlier) =
                known.get(&candidate.source_id).copied().or(rehearsed.then(|| self.now_known(None)))
            {
                self.note_known(row, candidate, earlier, &mut decided);
                continue;
            }
            let is_taken = |name: &str| taken.contains(name) || self.rehearsed.contains(&digest(name));
            match row.fit(is_taken) {
                Err(finding) => decided.findings.push(finding),
                Ok((new, findings)) => {
                    decided.findings.extend(findings);
                    taken.extend(new.user.email.as_ref().map(|email| email.as_str().to_owned()));
                    taken.extend(new.user.username.as_ref().map(Username::key));
                    known.insert(new.source_id.clone(), self.now_known(Some(new.user.id)));
                    decided.without_password += u64::from(!row.has_password);
                    decided.new.push(new);
                }
            }
        }
        Ok(decided)
    }

    /// What is known of a row that came with this very import.
    fn now_known(&self, user_id: Option<UserId>) -> Known {
        Known { user_id, made_at: None, imported_at: self.began_at }
    }

    fn note_known(&self, row: &Prepared, candidate: &NewImport, earlier: Known, decided: &mut Decided) {
        let other =
            earlier.made_at.zip(candidate.made_at).is_some_and(|(there, here)| millis(there) != millis(here));
        if millis(earlier.imported_at) == millis(self.began_at) {
            decided.findings.push(row.left_out("ID_TWICE", "an earlier row of this source has the same id"));
        } else if other {
            let message = "an account that was made at another time has come under this id before: if this is another \
                           project, give it a name of its own with --source";
            decided.findings.push(row.left_out("OTHER_SOURCE", message));
        } else if earlier.user_id.is_none() {
            decided.erased += 1;
        } else {
            decided.unchanged += 1;
        }
    }

    fn count(&mut self, read: u64, decided: &Decided) {
        let counts = &mut self.counts;
        counts.read += read;
        counts.imported += decided.new.len() as u64;
        counts.unchanged += decided.unchanged;
        counts.erased += decided.erased;
        counts.left_out += decided.findings.iter().filter(|finding| finding.left_out).count() as u64;
        counts.without_password += decided.without_password;
    }
}

/// Databases keep times in milliseconds.
fn millis(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1_000_000
}

/// What stands for the names of an account that would be there.
fn digests(new: &NewImport) -> impl Iterator<Item = [u8; 16]> + use<> {
    let email = new.user.email.as_ref().map(|email| digest(email.as_str()));
    let name = new.user.username.as_ref().map(|name| digest(&name.key()));
    [Some(id_digest(&new.source_id)), email, name].into_iter().flatten()
}

fn id_digest(source_id: &str) -> [u8; 16] {
    digest(&format!("id {source_id}"))
}

fn digest(text: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&sha256(text.as_bytes())[..16]);
    half
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl MayConflict for Undone {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_conflict())
    }
}
