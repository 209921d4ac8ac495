//! Erlang's formulas: what theory says of so many servers under so much load.
//!
//! Sources: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
//! exchanges", 1917 (both formulas); D. L. Jagerman, "Some properties of the Erlang loss function", Bell System Technical
//! Journal 53(3), 1974 (the recursion, which is stable because each step multiplies the error by less than one);
//! R. B. Cooper, "Introduction to Queueing Theory", 1981, chapter 3 (C from B).

/// The share of arrivals that find all `servers` taken and are lost (M/G/c/c: the distribution of the holding times does not
/// matter, their mean does). `load` is in erlang: arrivals per second times the mean holding time.
#[must_use]
pub fn erlang_b(servers: u64, load: f64) -> f64 {
    if load <= 0.0 {
        return if servers == 0 { 1.0 } else { 0.0 };
    }
    let mut blocked = 1.0;
    for taken in 1..=servers {
        blocked = load * blocked / (taken as f64 + load * blocked);
        if blocked == 0.0 {
            break;
        }
    }
    blocked
}

/// The share of arrivals that must wait where nobody is lost and nobody leaves (M/M/c: exponential holding times). 1 where
/// the servers cannot carry the load at all.
#[must_use]
pub fn erlang_c(servers: u64, load: f64) -> f64 {
    let utilization = load / servers as f64;
    if load <= 0.0 {
        return 0.0;
    }
    if utilization >= 1.0 {
        return 1.0;
    }
    let blocked = erlang_b(servers, load);
    blocked / (1.0 - utilization * (1.0 - blocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula as it is written, for loads at which its powers and factorials are still numbers.
    fn by_definition(servers: i32, load: f64) -> f64 {
        let mut term = 1.0;
        let mut sum = 1.0;
        for taken in 1..=servers {
            term *= load / f64::from(taken);
            sum += term;
        }
        term / sum
    }

    #[test]
    fn blocking_is_what_the_definition_says() {
        for (servers, load) in [(1, 0.5), (5, 3.0), (25, 20.0), (25, 40.0), (100, 80.0)] {
            let b = erlang_b(u64::try_from(servers).unwrap(), load);
            assert!((b - by_definition(servers, load)).abs() < 1e-12, "{servers} {load}: {b}");
        }
        // Published tables: 10 lines carry 4.46 erlang at 1 % lost, 100 lines 84.06.
        assert!((erlang_b(10, 4.4612) - 0.01).abs() < 1e-5);
        assert!((erlang_b(100, 84.064) - 0.01).abs() < 1e-5);
    }

    #[test]
    fn a_quarter_of_a_million_servers_are_no_trouble() {
        let b = erlang_b(250_000, 250_000.0);
        // At load = servers the loss is close to the square root of 2 / (pi servers).
        let about = (2.0 / (std::f64::consts::PI * 250_000.0)).sqrt();
        assert!((b / about - 1.0).abs() < 0.01, "{b} {about}");
        assert_eq!(erlang_b(250_000, 1.0), 0.0);
        assert!((erlang_b(10, 1e9) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn waiting_is_more_likely_than_loss_and_certain_beyond_what_can_be_carried() {
        // One server: who comes waits if it is taken, which it is for `load` of the time.
        assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
        assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(erlang_c(25, 30.0), 1.0);
        assert_eq!((erlang_c(5, 0.0), erlang_b(5, 0.0), erlang_b(0, 0.0)), (0.0, 0.0, 1.0));
        for load in [1.0, 5.0, 9.0] {
            assert!(erlang_c(10, load) > erlang_b(10, load));
        }
    }
}
