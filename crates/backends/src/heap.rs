//! Gives memory back that only the start of a process needed: it reads its configuration and makes its routes once, and what was freed
//! since would stay with it for as long as it lives.

/// Gives back what is free now. Where the allocator cannot be asked, nothing happens.
pub fn give_back() {
    // SAFETY: it only gives back what is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}
