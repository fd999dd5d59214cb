#!/usr/bin/perl
# A name server for tests: ADDRESS MODE-FILE LOG. To each question it does what the mode file says at that time: silent, servfail, or
# an IPv4 address, which is then every name's. Each question for one is a line of the log: the mode, the name.
use strict;
use warnings;
use Socket;

my ($address, $mode_file, $log_file) = @ARGV;
socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
bind($socket, sockaddr_in(53, inet_aton($address))) or die "bind $address:53: $!";
open(my $log, '>>', $log_file) or die "$log_file: $!";
$log->autoflush(1);
print $log "ready\n";
while (defined(my $from = recv($socket, my $question, 512, 0))) {
    next if length($question) < 17;
    my ($id, $flags) = unpack('n2', $question);
    my ($at, @labels) = 12;
    while (my $size = ord(substr($question, $at, 1))) {
        push @labels, substr($question, $at + 1, $size);
        $at += 1 + $size;
    }
    my $type = unpack('n', substr($question, $at + 1, 2));
    open(my $file, '<', $mode_file) or next;
    chomp(my $mode = <$file>);
    close($file);
    print $log "$mode ", join('.', @labels), "\n" if $type == 1;
    next if $mode eq 'silent';
    my $asked = substr($question, 12, $at + 5 - 12);
    my $found = $mode ne 'servfail' && $type == 1;
    my $answer = $found ? pack('n2 n N n a4', 0xc00c, 1, 1, 0, 4, inet_aton($mode)) : '';
    my $reply = pack('n6', $id, 0x8180 | ($mode eq 'servfail' ? 2 : 0), 1, $found ? 1 : 0, 0, 0);
    send($socket, $reply . $asked . $answer, 0, $from);
}
