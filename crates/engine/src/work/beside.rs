//! A second transaction beside that of a batch, on a session of its own, for bulk work of which one session is not fast enough.
//!
//! Two transactions cannot end as one: this one ends first, and only where the half of the batch itself went well. Whoever uses it
//! writes down in it what it did, so that a batch that is done again does only its own half. It ends only as long as the run belongs
//! to nobody else.

use super::{Memory, Setting, Work};
use crate::checkpoint::{Checkpoint, superseded};
use crate::error::{Error, Failure, Result};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use targets::db::{Database, Limits, Session};

/// Where such transactions are made.
pub(crate) struct Beside<'a> {
    database: &'a dyn Database,
    limits: Limits,
    checkpoint: String,
    term: i64,
    /// The session of the last one that went well.
    session: Mutex<Option<Box<dyn Session>>>,
}

impl<'a> Beside<'a> {
    /// For the batches of an operation, whose progress is kept under this name.
    pub fn new(database: &'a dyn Database, limits: Limits, checkpoint: String, term: i64) -> Self {
        Self { database, limits, checkpoint, term, session: Mutex::default() }
    }

    fn take(&self) -> Result<Box<dyn Session>> {
        match self.session.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(session) => Ok(session),
            None => self.database.open(),
        }
    }

    fn transaction<T>(
        &self,
        (setting, point, batch, retry): (&Setting, &str, i64, bool),
        act: impl FnOnce(&mut Work) -> Result<T>,
        may_end: &Receiver<()>,
    ) -> std::result::Result<T, Failure> {
        // one in which anything went wrong is not used again
        let mut session = self.take()?;
        let mut memory = Memory::new(point, true, Vec::new());
        let mut tx = session.begin(&self.limits)?;
        setting.faults.point("begun beside")?;
        let mut work = Work::new(tx.as_mut(), setting, &mut memory, batch, retry);
        let acted = act(&mut work);
        if let Some(name) = work.fired() {
            return Err(Failure::Fault(name));
        }
        let done = acted?;
        if may_end.recv().is_err() {
            return Err(Error::system("the batch beside it failed").into());
        }
        let now = setting.clock.now();
        if self.term > 0
            && !Checkpoint::claim(tx.as_mut(), setting.dialect, &self.checkpoint, now, self.term)?
        {
            return Err(superseded().into());
        }
        setting.faults.point("before the end beside")?;
        // the commit of the batch comes after it, and is waited for where that matters
        tx.commit_soon()?;
        setting.faults.point("ended beside")?;
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(done)
    }
}

impl<'a> Work<'a> {
    /// Does two things at once: the first in the transaction of the batch, the other in a transaction of its own that is committed
    /// before it, and only where the first went well. They must not wait for each other.
    pub fn beside<T, O: Send>(
        &mut self,
        here: impl FnOnce(&mut Self) -> Result<T>,
        there: impl FnOnce(&mut Work) -> Result<O> + Send,
    ) -> Result<(T, O)> {
        let (beside, setting, batch, retry) = (self.setting.beside, self.setting, self.batch, self.retry);
        let point = self.point().to_owned();
        std::thread::scope(|scope| {
            let (may_end, asks) = channel();
            let other =
                scope.spawn(move || beside.transaction((setting, &point, batch, retry), there, &asks));
            let done = here(self);
            match &done {
                // Nobody hears it where the other has failed meanwhile, which it says itself.
                Ok(_) => drop(may_end.send(())),
                Err(_) => drop(may_end),
            }
            let came = other.join().map_err(|_| Error::system("the thread of the other session broke"))?;
            match (done, came) {
                (Ok(done), Ok(came)) => Ok((done, came)),
                (Ok(_), Err(Failure::Fault(name))) => {
                    self.fired = Some(name);
                    Err(Error::system("a fault point fired"))
                }
                (Ok(_), Err(Failure::Error(error))) => Err(error),
                (Ok(_), Err(failure)) => Err(Error::system(failure.to_string())),
                (Err(error), _) => Err(error),
            }
        })
    }
}
