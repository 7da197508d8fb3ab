//! Short words for tests about orphans: the stage of the other tests, set for this kind. It judges nothing.

use crate::stage;
pub use crate::stage::{codes, manners};
use engine::{Engine, Plan, Report};
use serde_json::Value as Json;
use testkit::{Place, Story, story};

/// A story about orphans.
pub fn orphans(options: Json) -> Story {
    Story::new(kinds::catalogue(), "orphans", options)
}

/// A place and its workshop.
pub struct Stage(stage::Stage);

impl std::ops::Deref for Stage {
    type Target = stage::Stage;

    fn deref(&self) -> &stage::Stage {
        &self.0
    }
}

/// The same test on both databases.
pub fn both(given: impl Fn(&Place), mut test: impl FnMut(&Stage)) {
    for place in [Place::sqlite(), Place::postgres()] {
        given(&place);
        let name = place.name();
        let stage = Stage::new(place);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&stage)));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!("on {name}: {}", text.unwrap_or_default());
        }
    }
}

impl Stage {
    pub fn new(place: Place) -> Self {
        Self(stage::Stage::new(place))
    }

    pub fn request(&self, options: Json) -> engine::Request {
        story::request("orphans", options, manners(), false)
    }

    pub fn plan(&self, options: Json) -> Plan {
        story::plan(&self.engine(), &self.request(options))
    }

    pub fn run(&self, options: Json) -> Report {
        let engine: Engine = self.engine();
        let plan = story::plan(&engine, &self.request(options));
        story::run(&engine, &plan)
    }

    /// Why it cannot be planned: the message with its causes, and the help.
    pub fn refusal(&self, options: Json) -> String {
        match self.engine().plan(&self.request(options)) {
            Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].steps),
            Err(failure) => stage::shown(&failure),
        }
    }
}
