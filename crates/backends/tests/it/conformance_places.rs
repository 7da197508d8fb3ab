//! The kit itself: a place is what the tests take it for.

use testkit::Place;

#[test]
fn a_dump_shows_every_bit_that_changes() {
    let place = Place::postgres();
    place.script(
        "create table a (id int primary key, x float8, g int generated always as (id * 2) stored, s text);
         create table b (id int generated always as identity, a int references a on delete cascade);
         insert into a (id, x, s) values (1, 0.1, E'a\\nb'), (2, '-0', null), (3, 'NaN', '')",
    );
    let before = place.dump();
    assert_eq!(before, place.dump());
    for change in [
        "update a set x = 0.10000000000000002 where id = 1",
        "update a set x = 0 where id = 2",
        "update a set s = 'null' where id = 2",
        "update a set s = null where id = 3",
        "select nextval('b_id_seq')",
        "create index on a (x)",
        "alter table b drop constraint b_a_fkey",
    ] {
        let before = place.dump();
        place.script(change);
        assert_ne!(place.dump(), before, "{change}");
    }
}

#[test]
fn what_sexton_leaves_behind_is_seen_and_is_not_part_of_the_dump() {
    let place = Place::postgres();
    let before = place.dump();
    assert!(place.leftovers().is_empty());
    place.script("create schema sexton; create table sexton.undo_1 (x int)");
    assert_eq!(place.leftovers(), ["relation sexton.undo_1", "schema sexton"]);
    assert_eq!(place.dump(), before);
}

#[test]
fn a_script_that_fails_says_why() {
    let place = Place::postgres();
    let error = place.try_script("select 1; select * from nowhere").unwrap_err();
    assert!(error.contains("nowhere") && error.contains("42P01"), "{error}");
}
