//! Engines for requests: each is used by one at a time, and its session to the state is kept for the next.

use super::Api;
use super::error::Refusal;
use crate::config::Config;
use crate::trouble::Trouble;
use crate::wiring;
use engine::Engine;
use std::sync::{Arc, Mutex};

/// No more are kept.
const MOST: usize = 8;

/// Engines that are free.
pub struct Pool {
    config: Arc<Config>,
    free: Mutex<Vec<Engine>>,
}

impl Pool {
    /// An empty one.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, free: Mutex::new(Vec::new()) }
    }

    /// One that is free, or a new one.
    pub fn take(&self) -> Engine {
        let free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        free.unwrap_or_else(|| wiring::engine(&self.config, None))
    }

    /// Gives one back.
    pub fn give(&self, engine: Engine) {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if free.len() < MOST {
            free.push(engine);
        }
    }
}

impl Api {
    /// Does something with an engine, on a thread that may wait.
    pub async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Engine, &Config) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Refusal> {
        let api = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let engine = api.pool.take();
            let done = work(&engine, &api.config);
            // One that had trouble may have a broken session.
            if done.is_ok() {
                api.pool.give(engine);
            }
            done
        });
        match done.await {
            Ok(done) => done.map_err(Refusal::from),
            Err(_) => Err(Refusal::broken()),
        }
    }
}
