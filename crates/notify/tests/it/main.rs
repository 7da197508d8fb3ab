//! Messages on real receivers, with the outbox on both databases: a web server, a mail server and a program that write down what
//! they get. Time is whatever the test says; nothing waits for it.

mod alarms;
mod carriers;
mod kit;
mod mail;
mod outbox;
mod runs;
mod schedules;
