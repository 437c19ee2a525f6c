#!/usr/bin/env escript
-module(driver).
-mode(compile).
-export([main/1]).

%% Erlang (internal/driver says what a driver is). With the argument "process"
%% the other side is a process in this VM; with "port" and a path it is that
%% program, in a process of its own.

-define(PING, <<"ping, 16 letters">>).
-define(PONG, <<"pong, 16 letters">>).

main(["process"]) ->
    Self = self(),
    Pid = spawn_link(fun() -> subject(0) end),
    serve(fun(I) ->
                  Pid ! {Self, {1000 + I, ?PING}},
                  receive {Pid, Reply} -> check(Reply, I) end
          end,
          fun(N) -> cast(Pid, N) end);
main(["port", Path]) ->
    Port = open_port({spawn_executable, Path}, [{packet, 2}, binary]),
    serve(fun(I) ->
                  port_command(Port, term_to_binary({1000 + I, ?PING})),
                  receive {Port, {data, Reply}} -> check(binary_to_term(Reply), I) end
          end,
          none).

subject(Counted) ->
    receive
        {From, {N, _}} -> From ! {self(), {N + 1, ?PONG}}, subject(Counted);
        {N, _} when is_integer(N) -> subject(Counted + 1);
        {From, total} -> From ! {self(), Counted}, subject(0)
    end.

cast(Pid, N) ->
    Begin = now_ns(),
    casts(Pid, 0, N),
    Pid ! {self(), total},
    receive {Pid, N} -> now_ns() - Begin end.

casts(_, N, N) -> ok;
casts(Pid, I, N) -> Pid ! {1000 + I, ?PING}, casts(Pid, I + 1, N).

check(Reply, I) ->
    {N, ?PONG} = Reply,
    N = 1000 + I + 1,
    ok.

now_ns() -> erlang:monotonic_time(nanosecond).

serve(Trip, Stream) ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            Answer = case string:tokens(string:trim(Line), " ") of
                         ["round", N, Pause] ->
                             round_trips(Trip, 0, list_to_integer(N), (list_to_integer(Pause) + 999) div 1000, now_ns());
                         ["stream", N] -> [Stream(list_to_integer(N))]
                     end,
            io:put_chars([[[integer_to_list(T), " "] || T <- Answer], "\n"]),
            serve(Trip, Stream)
    end.

%% Pause is in milliseconds here: receive cannot wait for less.
round_trips(_, N, N, _, _) -> [];
round_trips(Trip, I, N, Pause, Last) ->
    Begin = case Pause of
                0 -> Last;
                _ -> receive after Pause -> now_ns() end
            end,
    Trip(I),
    Now = now_ns(),
    [Now - Begin | round_trips(Trip, I + 1, N, Pause, Now)].
