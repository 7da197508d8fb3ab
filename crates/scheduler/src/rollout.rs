//! Which of many databases has its turn: a few first, then several at once, until too many have failed.
//!
//! A function of where all of them stand, and nothing else: the same for those who work in one process and for many workers.

/// How many at a time, and until when.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How many go first, one after the other: if one of them fails, no other one is begun.
    pub canary: usize,
    /// How many are worked on at once after that.
    pub at_once: usize,
    /// How many of one server, where they have one.
    pub at_once_per_server: Option<usize>,
    /// How many percent of all may fail before no further one is begun.
    pub max_failed_percent: f64,
}

/// Where one database stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has begun.
    NotBegun,
    /// It is worked on, or somebody may begin at any moment.
    AtWork,
    /// It was done.
    Done,
    /// It counts as a failure.
    Failed,
}

/// Who may begin now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Turn {
    /// Their places in the list.
    pub begin: Vec<usize>,
    /// Why nobody else is begun at all.
    pub stopped: Option<&'static str>,
}

/// Who may begin now, where all stand like this. `servers` says where each is; empty where there is no server.
pub fn turn(policy: &Policy, servers: &[String], standings: &[Standing]) -> Turn {
    let stopped = |why| Turn { begin: Vec::new(), stopped: Some(why) };
    let first = &standings[..policy.canary.min(standings.len())];
    if first.contains(&Standing::Failed) {
        return stopped("one of those that go first has failed");
    }
    if !first.iter().all(|one| *one == Standing::Done) {
        let free = !first.contains(&Standing::AtWork);
        let next = first.iter().position(|one| *one == Standing::NotBegun).filter(|_| free);
        return Turn { begin: next.into_iter().collect(), stopped: None };
    }
    let failed = standings.iter().filter(|one| **one == Standing::Failed).count();
    if failed as f64 > standings.len() as f64 * policy.max_failed_percent / 100.0 {
        return stopped("too many have failed");
    }
    let mut at_work: Vec<usize> =
        (0..standings.len()).filter(|n| standings[*n] == Standing::AtWork).collect();
    let mut begin = Vec::new();
    for n in (0..standings.len()).filter(|n| standings[*n] == Standing::NotBegun) {
        if at_work.len() >= policy.at_once.max(1) {
            break;
        }
        let beside = at_work.iter().filter(|other| servers[**other] == servers[n]).count();
        if !servers[n].is_empty() && policy.at_once_per_server.is_some_and(|most| beside >= most.max(1)) {
            continue;
        }
        at_work.push(n);
        begin.push(n);
    }
    Turn { begin, stopped: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{AtWork, Done, Failed, NotBegun};

    fn policy(canary: usize, at_once: usize, max_failed_percent: f64) -> Policy {
        Policy { canary, at_once, at_once_per_server: None, max_failed_percent }
    }

    fn begins(policy: &Policy, standings: &[Standing]) -> Vec<usize> {
        turn(policy, &vec![String::new(); standings.len()], standings).begin
    }

    #[test]
    fn those_that_go_first_go_one_after_the_other() {
        let two = policy(2, 3, 100.0);
        assert_eq!(begins(&two, &[NotBegun; 5]), [0]);
        assert_eq!(begins(&two, &[AtWork, NotBegun, NotBegun, NotBegun, NotBegun]), [0; 0]);
        assert_eq!(begins(&two, &[Done, NotBegun, NotBegun, NotBegun, NotBegun]), [1]);
        assert_eq!(begins(&two, &[Done, Done, NotBegun, NotBegun, NotBegun]), [2, 3, 4]);
        let failed = turn(&two, &vec![String::new(); 3], &[Done, Failed, NotBegun]);
        assert!(failed.begin.is_empty() && failed.stopped.is_some());
    }

    #[test]
    fn never_more_at_once_than_is_said_of_all_and_of_each_server() {
        assert_eq!(begins(&policy(0, 3, 0.0), &[AtWork, Done, NotBegun, NotBegun, NotBegun]), [2, 3]);
        let servers: Vec<String> =
            ["a", "a", "a", "b", "b", ""].iter().map(|&name| name.to_owned()).collect();
        let one_each = Policy { at_once_per_server: Some(1), ..policy(0, 9, 0.0) };
        assert_eq!(turn(&one_each, &servers, &[NotBegun; 6]).begin, [0, 3, 5]);
        assert_eq!(turn(&one_each, &servers, &[AtWork, NotBegun, NotBegun, Done, NotBegun, Done]).begin, [4]);
    }

    #[test]
    fn a_share_may_fail_and_no_more() {
        let fifth = policy(0, 2, 20.0);
        let mut standings = vec![Failed, Failed];
        standings.resize(10, NotBegun);
        assert_eq!(begins(&fifth, &standings).len(), 2);
        standings[2] = Failed;
        assert_eq!(turn(&fifth, &vec![String::new(); 10], &standings).stopped, Some("too many have failed"));
    }
}
