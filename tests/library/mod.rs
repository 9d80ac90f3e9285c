//! Doorward inside other people's programs: as a fairing, and beside applications in other languages.

mod fairing;
mod notebook;
mod verify;
