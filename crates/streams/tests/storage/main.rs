//! What streams in files survive: crashes, full and broken disks, other processes.

mod crash;
mod damage;
mod faults;
mod help;
mod kill;
mod model;
mod reopen;
mod sim;
