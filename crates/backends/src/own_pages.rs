//! Gives back the memory that only the start of a process needed: pages of the program itself, and what was freed since.
//!
//! A process that stays reads its configuration and makes its routes once. What it executed for that would stay in its memory for as
//! long as it lives, two thirds of all it has. Nothing is lost: code that is executed again is read from the file again.

use std::ops::Range;

/// Gives back what can be given back now. Where that cannot be told, nothing happens.
pub fn give_back() {
    let (Ok(maps), Ok(program)) =
        (std::fs::read_to_string("/proc/self/maps"), std::fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    for code in code_of(&maps, &program.to_string_lossy()) {
        // SAFETY: the pages are mapped from the program's file, read-only, and private, and nobody has ever written to them: who reads
        // or executes them later gets the same from the file.
        unsafe { libc::madvise(code.start as *mut libc::c_void, code.len(), libc::MADV_DONTNEED) };
    }
    // SAFETY: it only gives back what is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Where the code of a program is, by the kernel's list of what is mapped. What may have been written to, if only while it was
/// loaded, is left out.
fn code_of(maps: &str, program: &str) -> Vec<Range<usize>> {
    let code = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let (place, rights, path) = (words.next()?, words.next()?, words.nth(3)?.trim());
        let (start, end) = place.split_once('-')?;
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        (rights == "r-xp" && path == program).then_some(number(start)?..number(end)?)
    };
    maps.lines().filter_map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_is_given_back() {
        let maps = "\
55d0a0000000-55d0a0a48000 r--p 00000000 fe:00 1234   /usr/bin/a program
55d0a0a48000-55d0a2c6b000 r-xp 00a47000 fe:00 1234   /usr/bin/a program
55d0a2c6b000-55d0a2d27000 r--p 02c69000 fe:00 1234   /usr/bin/a program
55d0a3000000-55d0a3400000 rw-p 00000000 00:00 0      [heap]
7f0000000000-7f0000100000 r-xp 00028000 fe:00 99     /usr/lib/libc.so.6
7f0000200000-7f0000300000 r-xp 00000000 00:00 0
";
        let found: Vec<(usize, usize)> =
            code_of(maps, "/usr/bin/a program").iter().map(|code| (code.start, code.end)).collect();
        assert_eq!(found, [(0x55d0_a0a4_8000, 0x55d0_a2c6_b000)]);
        assert!(code_of(maps, "/usr/bin/another").is_empty());
    }

    #[test]
    fn a_process_goes_on_after_it_has_given_back_what_it_had() {
        let before = memory();
        for _ in 0..3 {
            give_back();
        }
        assert!(before > 0 && memory() > 0);
        assert_eq!((0..1_000).map(|n| n.to_string()).collect::<String>().len(), 2_890);
    }

    fn memory() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
