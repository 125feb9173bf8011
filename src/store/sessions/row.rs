//! Between a row of `refresh_sessions` and a [`Session`].

use sea_orm::ActiveValue::Set;
use time::OffsetDateTime;

use crate::{
    domain::{
        ids::{SessionId, UserId},
        rotation::Chain,
        session::{Delivery, Device, EndReason, Ended, Nonce, Session},
    },
    store::{
        StoreError,
        entity::{SecretBytes, refresh_sessions as entity},
        from_millis, to_millis,
    },
};

const REASONS: [(EndReason, &str); 9] = [
    (EndReason::Logout, "logout"),
    (EndReason::RevokedByUser, "revoked_by_user"),
    (EndReason::RevokedByAdmin, "revoked_by_admin"),
    (EndReason::PasswordChanged, "password_changed"),
    (EndReason::PasswordReset, "password_reset"),
    (EndReason::AccountBlocked, "account_blocked"),
    (EndReason::RefreshTokenReused, "refresh_token_reused"),
    (EndReason::SessionLimit, "session_limit"),
    (EndReason::DatabaseRestored, "database_restored"),
];

const DELIVERIES: [(Delivery, &str); 2] = [(Delivery::Cookie, "cookie"), (Delivery::Body, "body")];

pub(super) fn to_row(session: &Session) -> entity::ActiveModel {
    entity::ActiveModel {
        id: Set(session.id.as_uuid()),
        user_id: Set(session.user_id.as_uuid()),
        nonce: Set(session.nonce.as_ref().map(|nonce| SecretBytes(nonce.expose().to_vec()))),
        slot: Set(i16::from(session.slot)),
        previous_slot: Set(session.previous_slot.map(i16::from)),
        generation: Set(generation(session.chain.generation)),
        rotated_at: Set(session.chain.rotated_at.map(to_millis)),
        retry_hash: Set(session.chain.retry_hash.map(|hash| SecretBytes(hash.to_vec()))),
        kept_hash: Set(session.chain.kept_hash.map(|hash| SecretBytes(hash.to_vec()))),
        replays: Set(i32::try_from(session.chain.replays).unwrap_or(i32::MAX)),
        auth_epoch: Set(session.auth_epoch),
        delivery: Set(name_of(&DELIVERIES, session.delivery).to_owned()),
        jkt: Set(session.jkt.map(|jkt| jkt.to_vec())),
        auth_time: Set(to_millis(session.auth_time)),
        created_at: Set(to_millis(session.created_at)),
        absolute_expires_at: Set(to_millis(session.absolute_expires_at)),
        last_used_at: Set(to_millis(session.last_used_at)),
        device_name: Set(session.device.name.clone()),
        user_agent: Set(session.device.user_agent.clone()),
        ip: Set(session.device.ip.map(|ip| ip.to_string())),
        revoked_at: Set(session.ended.map(|ended| to_millis(ended.at))),
        revoked_reason: Set(session.ended.map(|ended| reason_name(ended.reason).to_owned())),
    }
}

impl TryFrom<entity::Model> for Session {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let id = SessionId::from_uuid(row.id);
        let corrupt = |what| corrupt(id, what);
        let time = |millis| from_millis(millis).ok_or_else(|| corrupt("a time out of range"));
        let bytes32 = |bytes: Vec<u8>, what| <[u8; 32]>::try_from(bytes).map_err(|_| corrupt(what));
        let ended = match (row.revoked_at, row.revoked_reason) {
            (None, None) => None,
            (Some(at), Some(reason)) => {
                let reason = reason_named(&reason).ok_or_else(|| corrupt("revoked_reason"))?;
                Some(Ended { at: time(at)?, reason })
            }
            _ => return Err(corrupt("revoked_at without revoked_reason, or the reverse")),
        };
        let nonce = row.nonce.map(|bytes| bytes32(bytes.0, "nonce")).transpose()?.map(Nonce::new);
        if nonce.is_some() == ended.is_some() {
            return Err(corrupt("an ended session with a nonce, or a live one without"));
        }
        Ok(Self {
            id,
            user_id: UserId::from_uuid(row.user_id),
            nonce,
            slot: row.slot.try_into().map_err(|_| corrupt("slot"))?,
            previous_slot: row
                .previous_slot
                .map(|slot| slot.try_into().map_err(|_| corrupt("previous_slot")))
                .transpose()?,
            chain: Chain {
                generation: row.generation.try_into().map_err(|_| corrupt("generation"))?,
                rotated_at: row.rotated_at.map(time).transpose()?,
                retry_hash: row.retry_hash.map(|bytes| bytes32(bytes.0, "retry_hash")).transpose()?,
                kept_hash: row.kept_hash.map(|bytes| bytes32(bytes.0, "kept_hash")).transpose()?,
                replays: row.replays.try_into().map_err(|_| corrupt("replays"))?,
            },
            auth_epoch: row.auth_epoch,
            delivery: value_of(&DELIVERIES, &row.delivery).ok_or_else(|| corrupt("delivery"))?,
            jkt: row.jkt.map(|bytes| bytes32(bytes, "jkt")).transpose()?,
            auth_time: time(row.auth_time)?,
            created_at: time(row.created_at)?,
            absolute_expires_at: time(row.absolute_expires_at)?,
            last_used_at: time(row.last_used_at)?,
            device: Device {
                name: row.device_name,
                user_agent: row.user_agent,
                ip: row.ip.map(|ip| ip.parse().map_err(|_| corrupt("ip"))).transpose()?,
            },
            ended,
        })
    }
}

/// A row that was live when it was read, as it is after it was ended.
pub(super) fn ended(
    row: entity::Model,
    reason: EndReason,
    at: OffsetDateTime,
) -> Result<Session, StoreError> {
    let mut session = Session::try_from(row)?;
    session.nonce = None;
    session.ended = Some(Ended { at, reason });
    Ok(session)
}

pub(super) fn corrupt(id: SessionId, what: &'static str) -> StoreError {
    StoreError::Corrupt { table: "refresh_sessions", id: id.to_string(), what }
}

pub(in crate::store) fn reason_name(reason: EndReason) -> &'static str {
    name_of(&REASONS, reason)
}

pub(in crate::store) fn reason_named(name: &str) -> Option<EndReason> {
    value_of(&REASONS, name)
}

/// Generations are below 2^63: the token codec sees to it.
pub(super) fn generation(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

fn name_of<T: PartialEq + Copy>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

fn value_of<T: Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}
