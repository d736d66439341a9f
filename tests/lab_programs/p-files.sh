# Files of a program: where they are, whose they are, read anew at a signal, gone with the program.
. "$FUNCTIONS"
lab() {
  cat > lab.yaml << END
name: p-files
namespaces:
  red:
    run:
      web:
        command: [sh, -c, 'trap "cat page ??; echo" HUP; cat page; while :; do sleep 0.05; done']
        files: { $1 }
        reload: HUP
        ready: { line: hello }
      plain: { command: [sh, -c, 'pwd; cat odd; ls -a; exec sleep 3600'], files: { odd: "a'b\n\"{n} %s\t\\\\n" } }
      exact: [printf, '<%s>', 'a ', "b\\tc", "d\\n"]
      guest:
        command: [sh, -c, 'cat note; touch own "$(printf "odd\\\\377")"; mkdir -p deep/er; ls -nd own note . | cut -d " " -f 3; exec sleep 3600']
        files: { note: $2 }
        user: nobody
END
}
lab 'page: "hello\n"' first
nslab commands lab.yaml > script; sh -n script
nslab apply lab.yaml
ends 0 'nothing to do' nslab plan lab.yaml
web=$(field p-files red/web pid); guest=$(field p-files red/guest pid)
files=/run/nslab/p-files/files/red
[ "$(cat $files/web/page)" = hello ]
printf '%s\na'\''b\n"{n} %%s\t\\n.\n..\nodd\n' $files/plain > wanted
nslab logs p-files red/plain | cmp - wanted
printf '<a ><b\tc><d\n>\n' > wanted
nslab logs p-files red/exact | cmp - wanted
nobody=$(id -u nobody); printf 'first%s\n%s\n%s\n' "$nobody" "$nobody" "$nobody" > wanted
nslab logs p-files red/guest | cmp - wanted
[ "$(stat -c %a /run/nslab $files $files/web/page | sort -u | tr '\n' ' ')" = '600 700 ' ]
# Only files have changed: the one goes on and reads them anew, the other is started anew.
lab 'page: there, ab: more' second
ends 0 'write the files of program red/web anew, and send it HUP' nslab plan lab.yaml
grep -q 'red/guest (`files` differs)\|end program red/guest, and start it' said
nslab apply lab.yaml
[ "$(field p-files red/web pid)" = "$web" ]; [ "$(field p-files red/guest pid)" != "$guest" ]
until nslab logs p-files red/web | grep -qx theremore; do sleep 0.05; done
ends 0 'nothing to do' nslab apply lab.yaml
# One that is dropped is gone; one that is started again has its files anew.
lab 'page: hello again' second
nslab apply lab.yaml
[ ! -e $files/web/ab ]; [ "$(field p-files red/web pid)" = "$web" ]
# A large one does not keep anybody waiting.
lab "page: hello again, big: $(head -c 700000 /dev/zero | tr '\0' x)" second
timeout 20 nslab apply lab.yaml
[ "$(wc -c < $files/web/big)" = 700000 ]; [ "$(field p-files red/web pid)" = "$web" ]
lab 'page: hello again' second; nslab apply lab.yaml
# One that ends at the signal is not said to run.
cat > dies.yaml << 'END'
name: p-dies
namespaces: { blue: { run: { web: { command: sleep 3600, files: { a: b }, reload: HUP } } } }
END
nslab apply dies.yaml; sed -i 's/a: b/a: c/' dies.yaml
ends 3 'cannot start program blue/web: it was ended by signal 1' nslab apply dies.yaml
nslab destroy p-dies
# What cannot be written is said, and all is as before.
mkdir $files/web/there
lab 'page: hello again, there: x' second
ends 3 'write /run/nslab/p-files/files/red/web/there: it is a folder' nslab apply lab.yaml
lab 'page: hello again' second
ends 0 'nothing to do' nslab plan lab.yaml
# Nobody is led elsewhere by what a program puts into its folder.
lab 'page: hello again' third
rm $files/guest/note; ln -s /etc/hosts $files/guest/note; before=$(cat /etc/hosts)
nslab apply lab.yaml
[ "$(cat /etc/hosts)" = "$before" ]; [ "$(cat $files/guest/note)" = third ]
printf 'name: p-files\nnamespaces: { red: { run: { plain: sleep 3600 } } }\n' > lab.yaml
nslab apply lab.yaml
[ ! -e /run/nslab/p-files/files ]
nslab destroy p-files
[ ! -e /run/nslab/p-files ]
