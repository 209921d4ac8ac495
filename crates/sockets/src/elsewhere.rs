//! Where there is no sock_diag.

use crate::{DumpError, Query, Socket};

/// Never there.
#[derive(Debug)]
pub enum Dump {}

impl Dump {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always [`DumpError::Platform`].
    pub fn open() -> Result<Self, DumpError> {
        Err(DumpError::Platform)
    }

    /// Nobody can call it.
    ///
    /// # Errors
    /// None.
    pub fn each(&mut self, _query: &Query, _show: impl FnMut(&Socket)) -> Result<(), DumpError> {
        match *self {}
    }
}
