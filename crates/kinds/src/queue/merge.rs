//! A preset with what was said laid over it: tables are merged key by key, everything else is replaced.

use serde_json::Value as Json;

/// Lays `over` upon `base`.
pub fn merged(base: Json, over: Json) -> Json {
    match (base, over) {
        (Json::Object(mut base), Json::Object(over)) => {
            for (key, value) in over {
                let below = base.remove(&key).unwrap_or(Json::Null);
                base.insert(key, merged(below, value));
            }
            Json::Object(base)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::merged;
    use serde_json::json;

    #[test]
    fn what_was_said_wins_key_by_key() {
        let preset = json!({"table": "jobs", "columns": {"id": "id", "state": "state"}, "prune": [1]});
        let said = json!({"table": "work", "columns": {"state": "status"}, "prune": [2, 3]});
        let both = json!({"table": "work", "columns": {"id": "id", "state": "status"}, "prune": [2, 3]});
        assert_eq!(merged(preset, said), both);
    }
}
