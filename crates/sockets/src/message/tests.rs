//! Datagrams as the kernel sends them, older and newer, cut and bent.

use proptest::prelude::*;

use super::*;

const SEQUENCE: u32 = 7;

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_LENGTH + body.len()).unwrap();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(SEQUENCE.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

/// A socket with an attribute that nobody asked for and `info_length` bytes of `TCP_INFO`.
fn one_socket(info_length: u16) -> Vec<u8> {
    let mut body = vec![0; SOCKET_LENGTH];
    body[..8].copy_from_slice(&[2, 1, 4, 3, 0x1f, 0x90, 0xc0, 0x01]);
    body[8..12].copy_from_slice(&[192, 0, 2, 1]);
    body[24..28].copy_from_slice(&[192, 0, 2, 9]);
    body[44..48].copy_from_slice(&5_u32.to_ne_bytes());
    body[48..52].copy_from_slice(&1_u32.to_ne_bytes());
    for (offset, value) in [(56, 10_u32), (60, 20), (64, 1_000), (68, 4_711)] {
        body[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }
    body.extend([5_u16.to_ne_bytes(), 8_u16.to_ne_bytes()].concat());
    body.extend([3, 0, 0, 0]);
    body.extend([(4 + info_length).to_ne_bytes(), INET_DIAG_INFO.to_ne_bytes()].concat());
    let mut info = vec![0; 256];
    info[2..5].copy_from_slice(&[2, 3, 4]);
    for (offset, value) in
        [(24, 6_u32), (44, 100), (52, 300), (56, 200), (68, 1_500), (120, 99), (144, 12), (228, 0)]
    {
        info[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }
    body.extend(&info[..info_length.into()]);
    body
}

fn read_all(datagram: &[u8]) -> (Vec<Socket>, Result<Rest, DumpError>) {
    let mut sockets = Vec::new();
    let rest = read(datagram, SEQUENCE, &mut |socket| sockets.push(*socket));
    (sockets, rest)
}

#[test]
fn a_socket_is_read_whole() {
    let mut datagram = message(SOCK_DIAG_BY_FAMILY, 2, &one_socket(232));
    datagram.extend(message(NLMSG_DONE, 2, &[0; 4]));
    let (sockets, rest) = read_all(&datagram);
    assert_eq!(rest.unwrap(), Rest::Ended);
    let expected = Socket {
        local: "192.0.2.1:8080".parse().unwrap(),
        peer: "192.0.2.9:49153".parse().unwrap(),
        state: TcpState::Established,
        timer: Timer::WindowProbe(3),
        receive_queue: 10,
        send_queue: 20,
        uid: 1_000,
        inode: 4_711,
        cookie: 1 << 32 | 5,
        info: Some(Info {
            unacked: 6,
            retransmits: 2,
            probes: 3,
            backoff: 4,
            last_data_sent: Duration::from_millis(100),
            last_data_received: Duration::from_millis(300),
            last_ack_received: Duration::from_millis(200),
            rtt: Duration::from_micros(1_500),
            bytes_acked: Some(99),
            not_sent: Some(12),
            send_window: Some(0),
        }),
    };
    assert_eq!(sockets, [expected]);
    assert_eq!(sockets[0].info.as_ref().unwrap().last_heard(), Duration::from_millis(200));
}

#[test]
fn an_ipv4_address_within_ipv6_is_told_as_ipv4() {
    let mut body = one_socket(104);
    body[0] = 10;
    body[8..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
    body[24..40].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
    let (sockets, _) = read_all(&message(SOCK_DIAG_BY_FAMILY, 2, &body));
    assert_eq!(sockets[0].local, "192.0.2.1:8080".parse().unwrap());
    assert_eq!(sockets[0].peer, "[::1]:49153".parse().unwrap());
}

#[test]
fn what_an_older_kernel_does_not_tell_is_absent() {
    for (length, told) in [
        (0, None),
        (68, None),
        (104, Some((None, None, None))),
        (128, Some((Some(99), None, None))),
        (148, Some((Some(99), Some(12), None))),
        (232, Some((Some(99), Some(12), Some(0)))),
        (256, Some((Some(99), Some(12), Some(0)))),
    ] {
        let (sockets, _) = read_all(&message(SOCK_DIAG_BY_FAMILY, 2, &one_socket(length)));
        let info = sockets[0].info.as_ref();
        let got = info.map(|info| (info.bytes_acked, info.not_sent, info.send_window));
        assert_eq!(got, told, "{length} bytes");
    }
}

#[test]
fn a_dump_that_fails_says_why() {
    let error = |code: i32| message(NLMSG_ERROR, 0, &(-code).to_ne_bytes());
    let done = |code: i32| message(NLMSG_DONE, 2, &(-code).to_ne_bytes());
    for (datagram, expected) in [
        (error(2), "the kernel has no sock_diag for TCP"),
        (done(2), "the kernel has no sock_diag for TCP"),
        (error(1), "a sandbox or a security policy forbids"),
        (error(13), "a sandbox or a security policy forbids"),
        (error(22), "the kernel refused the dump"),
        (message(NLMSG_ERROR, 0, &i32::MIN.to_ne_bytes()), "not understood"),
        (message(NLMSG_ERROR, 0, &[]), "not understood"),
        (message(99, 0, &[]), "not understood"),
        (message(NLMSG_OVERRUN, 0, &[]), "not whole"),
        (message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_INTR, &one_socket(104)), "not whole"),
        (message(SOCK_DIAG_BY_FAMILY, 2, &[2; SOCKET_LENGTH - 1]), "shorter"),
        (message(SOCK_DIAG_BY_FAMILY, 2, &[9; SOCKET_LENGTH]), "unknown family"),
    ] {
        let (sockets, rest) = read_all(&datagram);
        let text = rest.unwrap_err().to_string();
        assert!(sockets.is_empty() && text.contains(expected), "{text}, not {expected}");
    }
}

#[test]
fn what_answers_another_question_is_passed_over() {
    let mut other = message(NLMSG_ERROR, 0, &[1; 4]);
    other[8] = 8;
    other.extend(message(NLMSG_NOOP, 0, &[]));
    other.extend(message(SOCK_DIAG_BY_FAMILY, 2, &one_socket(104)));
    let (sockets, rest) = read_all(&other);
    assert_eq!((sockets.len(), rest.unwrap()), (1, Rest::Follows));
}

#[test]
fn a_message_cut_anywhere_is_an_error() {
    let whole = message(SOCK_DIAG_BY_FAMILY, 2, &one_socket(232));
    for length in 1..whole.len() {
        let (sockets, rest) = read_all(&whole[..length]);
        assert!(sockets.is_empty() && matches!(rest, Err(DumpError::Malformed(_))), "{length}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes).1.ok();
        for kind in [SOCK_DIAG_BY_FAMILY, NLMSG_ERROR, NLMSG_DONE] {
            read_all(&message(kind, 0, &bytes)).1.ok();
        }
    }

    #[test]
    fn a_bent_message_does_no_harm(
        bends in prop::collection::vec((0_usize..348, any::<u8>()), 1..6),
    ) {
        let mut bytes = message(SOCK_DIAG_BY_FAMILY, 2, &one_socket(232));
        bends.iter().for_each(|(at, value)| if let Some(byte) = bytes.get_mut(*at) { *byte = *value });
        read_all(&bytes).1.ok();
    }
}
