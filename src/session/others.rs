//! Ending the sessions of others: one, or many at once.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use super::Sessions;
use super::store::Live;
use super::survey::{SessionFilter, Whose};
use crate::account::Actor;
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId};

/// How many sessions end at once, at most.
const MAX_AT_ONCE: usize = 1000;
/// How many of them the store is asked to end at the same time.
const ABREAST: usize = 32;

/// The sessions that are to end together.
#[derive(Debug, Default)]
pub struct Selection {
    /// Them, without the one that asks.
    pub chosen: Vec<Live>,
    /// Whether there are more than end at once.
    pub more: bool,
    /// How many were left out because their accounts hold more than whoever asks.
    pub spared: usize,
}

impl Selection {
    /// Takes up those of `found` that the viewer may end.
    fn take_up(&mut self, found: impl IntoIterator<Item = Live>, viewer: &Live) {
        let actor = Actor::Account(&viewer.account);
        for live in found {
            if live.session.id == viewer.session.id {
                continue;
            }
            match actor.may_change(&live.account) {
                Ok(()) => self.chosen.push(live),
                Err(_) => self.spared += 1,
            }
        }
    }
}

impl Sessions {
    /// Everything that a filter lets through, up to [`MAX_AT_ONCE`], but for the session that asks
    /// and for those of accounts that hold more than it.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if the filter names such an account.
    pub async fn select(&self, filter: &SessionFilter, viewer: &Live) -> Result<Selection> {
        if let Whose::One(account) = &filter.whose {
            self.accounts.changeable(Actor::Account(&viewer.account), &account.id).await?;
        }
        let (mut selection, mut after) = (Selection::default(), None);
        loop {
            let room = MAX_AT_ONCE + 1 - selection.chosen.len();
            let stretch = self.stretch(filter, after, room).await?;
            selection.take_up(stretch.live, viewer);
            after = stretch.next;
            if after.is_none() || selection.chosen.len() > MAX_AT_ONCE {
                selection.more = after.is_some() || selection.chosen.len() > MAX_AT_ONCE;
                selection.chosen.truncate(MAX_AT_ONCE);
                return Ok(selection);
            }
        }
    }

    /// Those of these sessions that are alive, but for the session that asks and for those of
    /// accounts that hold more than it.
    pub async fn select_named(
        &self,
        mut names: Vec<(AccountId, SessionId)>,
        viewer: &Live,
    ) -> Result<Selection> {
        names.retain(|(_, session)| *session != viewer.session.id);
        names.truncate(MAX_AT_ONCE);
        let looks =
            stream::iter(names).map(|(owner, name)| async move { self.live(&owner, &name).await });
        let found: Vec<Result<Option<Live>>> = looks.buffered(ABREAST).collect().await;
        let found: Vec<Option<Live>> = found.into_iter().collect::<Result<_>>()?;
        let mut selection = Selection::default();
        selection.take_up(found.into_iter().flatten(), viewer);
        Ok(selection)
    }

    /// The session of this name, if it is alive.
    async fn live(&self, owner: &AccountId, name: &SessionId) -> Result<Option<Live>> {
        let sessions = self.store.list(owner, self.clock.now()).await?;
        let Some(session) = sessions.into_iter().find(|one| one.id == *name) else {
            return Ok(None);
        };
        let account = self.accounts.current(owner).await?;
        Ok(account.map(|account| Live { session: Arc::new(session), account: Arc::new(account) }))
    }

    /// Ends a session, whosever it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such session; [`Error::PermissionDenied`] if its account
    /// holds what the actor does not.
    pub async fn end_anybodys(&self, actor: Actor<'_>, session: &SessionId) -> Result<()> {
        let owner = self.store.owner(session).await?.ok_or(Error::NotFound)?;
        self.end_of_another(actor, &owner, session).await
    }

    /// Ends a session of somebody's account.
    ///
    /// # Errors
    /// As [`Sessions::end_anybodys`].
    pub async fn end_of_another(
        &self,
        actor: Actor<'_>,
        owner: &AccountId,
        session: &SessionId,
    ) -> Result<()> {
        match self.accounts.changeable(actor, owner).await {
            // Of an account that was deleted: nobody holds anything by it any more.
            Ok(_) | Err(Error::NotFound) => self.end(owner, session).await,
            Err(error) => Err(error),
        }
    }

    /// Ends these sessions for good; says how many there still were.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store failed on one of them; the others have ended.
    pub async fn end_all(&self, selection: &Selection) -> Result<u64> {
        let names: Vec<(AccountId, SessionId)> = selection
            .chosen
            .iter()
            .map(|live| (live.session.account.clone(), live.session.id.clone()))
            .collect();
        let ends = stream::iter(names).map(|(account, session)| async move {
            let outcome = self.store.end(&account, &session).await;
            (account, session, outcome)
        });
        let outcomes: Vec<_> = ends.buffer_unordered(ABREAST).collect().await;
        let (mut ended, mut failure) = (Vec::new(), None);
        for (account, session, outcome) in outcomes {
            match outcome {
                Ok(true) => ended.push((account, session)),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        let names: Vec<SessionId> = ended.iter().map(|(_, session)| session.clone()).collect();
        self.remember_ended(&names).await;
        for (account, session) in &ended {
            let event = Entry::of(Kind::SessionEnded).about(account);
            let detail = format!("session {session}, one of {} together", ended.len());
            self.audit.record(event.detail(detail)).await;
        }
        failure.map_or(Ok(ended.len() as u64), Err)
    }
}
