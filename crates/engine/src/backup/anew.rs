//! A database that is made out of nothing by an operation, looked at, and thrown away.
//!
//! The database of the configuration is only read: it says what is in it already, and where the new one is made. Nothing is
//! logged as a run.

use super::rehearse::{Rehearsal, Stage, may_make};
use super::scratch::Scratch;
use super::take::dumping;
use crate::engine::{Engine, new_id};
use crate::error::{Class, Error, Failure, Result};
use crate::finding::Finding;
use crate::plan::{Item, Undo};
use crate::request::OperationRequest;
use std::sync::Arc;
use targets::db::{Database, Dumping, Session};

/// What most often is the matter where something works on the real database and not on an empty one.
const FROM_NOTHING: &str = "on an empty database it must make everything by itself: what was there before belongs into a first \
                            migration, which `sexton migrate baseline --to ID` marks as in";

/// A new database, until it is discarded.
struct Anew {
    live: Arc<dyn Database>,
    blank: Arc<dyn Database>,
    name: String,
    how: Dumping,
    item: Item,
    left_out: Vec<Finding>,
    /// Holds the folder.
    _scratch: Scratch,
}

impl Engine {
    /// Makes an empty database of the same kind, does to it what the operation says ([`crate::Operation::anew`]), and lets
    /// `see` look at it before it is gone.
    pub fn made_anew<T>(
        &self,
        request: &OperationRequest,
        actor: &str,
        see: &mut dyn FnMut(&dyn Database, &Dumping) -> Result<T>,
    ) -> Result<T, Failure> {
        let anew = self.anew(request)?;
        let outcome = self
            .staged(&anew, actor, |stage, session| stage.go(session))
            .and_then(|_| Ok(see(anew.blank.as_ref(), &anew.how)?));
        anew.discard()?;
        outcome
    }

    /// The same with many deaths, there, back and there again, as [`Engine::try_out`] does on a copy.
    pub fn try_anew(&self, request: &OperationRequest, actor: &str) -> Result<Rehearsal, Failure> {
        let mut anew = self.anew(request)?;
        let steps = std::mem::take(&mut anew.item.steps);
        let operation = self.operation(request)?;
        let both_ways = anew.blank.read().and_then(|mut facts| operation.both_ways(&steps, facts.as_mut()));
        let both_ways = both_ways.and_then(|steps| operation.alone(steps, anew.blank.dialect()));
        let outcome = match both_ways {
            Ok((steps, _)) => {
                anew.item.steps = steps;
                self.staged(&anew, actor, |stage, session| stage.both_ways(session))
            }
            Err(error) => Err(error.into()),
        };
        let left_out = std::mem::take(&mut anew.left_out);
        anew.discard()?;
        outcome.map(|rehearsal| Rehearsal { place: "empty", ..rehearsal.with(left_out) })
    }

    fn anew(&self, request: &OperationRequest) -> Result<Anew, Failure> {
        let live = self.database(&request.database)?;
        let operation = self.operation(request)?;
        let steps = operation.anew(live.read()?.as_mut())?;
        let (steps, left_out) = operation.alone(steps, live.dialect())?;
        let policy = self.backup_policy()?;
        let scratch = Scratch::new(&policy.scratch, &new_id())?;
        let how = dumping(policy, live.as_ref(), scratch.path());
        let name = live.copies().scratch_name(&how, &new_id());
        let blank = live.copies().blank(&how, &name).map_err(may_make)?;
        let item = Item {
            operation: request.clone(),
            engine: live.dialect().name().to_owned(),
            steps,
            findings: Vec::new(),
            estimates: Vec::new(),
            undo: Undo::NotNeeded,
            transactional: false,
            expected_seconds: None,
            skipped: None,
            result: None,
            failed: None,
        };
        Ok(Anew { live, blank, name, how, item, left_out, _scratch: scratch })
    }

    fn staged<T>(
        &self,
        anew: &Anew,
        actor: &str,
        act: impl FnOnce(&Stage, &mut dyn Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let operation = self.operation(&anew.item.operation)?;
        let limits = crate::run::limits_of(&operation.manners(&anew.item.operation.manners));
        let database = anew.blank.as_ref();
        let stage =
            Stage { engine: self, operation: operation.as_ref(), item: &anew.item, limits, actor, database };
        // What was asked for was right; what the operation brought is not.
        act(&stage, database.open()?.as_mut()).map_err(|failure| match failure {
            Failure::Error(error) if matches!(error.class, Class::Usage | Class::Data) => {
                Failure::Error(Error { class: Class::Data, help: Some(FROM_NOTHING.to_owned()), ..error })
            }
            other => other,
        })
    }
}

impl Anew {
    fn discard(self) -> Result<()> {
        drop(self.blank);
        self.live.copies().discard(&self.name)
    }
}
