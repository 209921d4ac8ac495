//! The data folder, and who may come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use etcetera::BaseStrategy;
use outlast_access::{Access, Gate, Hosts, Login};

use crate::cli::AccessArgs;
use crate::failure::Failure;

/// The data folder: as told, else `outlast` in the XDG data folder.
pub(crate) fn folder(told: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(folder) = told {
        return Ok(folder.clone());
    }
    let strategy = etcetera::choose_base_strategy()
        .context("there is no home directory to keep data in")
        .map_err(|error| Failure::config(error).hint("name a folder by --data"))?;
    Ok(strategy.data_dir().join("outlast"))
}

/// Opens what is kept about access.
pub(crate) fn open(told: Option<&PathBuf>) -> Result<Access, Failure> {
    let folder = folder(told)?;
    Access::open(&folder).map_err(|error| {
        Failure::config(error).hint("repair it, or name another data folder by --data")
    })
}

/// Who may come in at these addresses.
pub(crate) struct Door {
    pub(crate) gate: Gate,
    /// None: everybody may.
    pub(crate) access: Option<Access>,
}

/// Our names beside those of loopback: those we were told, and the addresses we listen on, by which we may be asked for.
pub(crate) fn names(args: &AccessArgs, listening: &[SocketAddr]) -> Vec<String> {
    let mut names = args.allow_host.clone();
    for address in listening.iter().map(SocketAddr::ip) {
        let name = address.to_string();
        if !address.is_unspecified() && !address.is_loopback() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Decides who may come in.
pub(crate) fn door(args: &AccessArgs, listening: &[SocketAddr]) -> Result<Door, Failure> {
    let hosts = Hosts::new(&names(args, listening));
    if args.no_auth {
        if let Some(open) = listening.iter().find(|address| !address.ip().is_loopback()) {
            let error = anyhow!("--no-auth would let everybody in at {open}");
            return Err(Failure::config(error)
                .hint("leave --no-auth out, or listen on a loopback address only"));
        }
        return Ok(Door { gate: Gate::new(Login::Off, hosts), access: None });
    }
    let access = open(args.data.as_ref())?;
    Ok(Door { gate: Gate::new(Login::Required(access.clone()), hosts), access: Some(access) })
}
