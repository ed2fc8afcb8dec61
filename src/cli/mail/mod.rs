//! `vestibule mail`: whether letters leave, what they look like, and which ones are stuck.

mod preview;
mod queue;
mod test;

use std::process::ExitCode;

use super::Installation;

/// What is asked.
#[derive(Debug, clap::Subcommand)]
pub enum Question {
    /// Send a letter through the configured mail server, past the queue, and say what came of it.
    Test(test::Choice),
    /// Print a letter with sample data.
    Preview(preview::Choice),
    /// Letters that wait for delivery or were given up.
    #[command(subcommand)]
    Queue(Order),
}

/// What is done with the queue.
#[derive(Debug, clap::Subcommand)]
pub enum Order {
    /// Show what waits and what was given up.
    List(queue::Choice),
    /// Try again what was given up: one letter, or all.
    Retry(queue::RetryChoice),
}

/// Answers.
pub fn run(installation: &Installation, question: &Question) -> anyhow::Result<ExitCode> {
    match question {
        Question::Test(choice) => test::run(installation, choice),
        Question::Preview(choice) => preview::run(choice),
        Question::Queue(Order::List(choice)) => queue::list(installation, choice),
        Question::Queue(Order::Retry(choice)) => queue::retry(installation, choice),
    }
}
