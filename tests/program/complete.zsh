# complete.zsh FOLDER LINE ...: types each further argument into an interactive zsh that has the completions of the folder, presses the
# tabulator, and prints what became of the line.
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell "PS1=; unset zle_bracketed_paste; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "tell() { print -r -- \"<\$BUFFER>\"; BUFFER= }; zle -N tell; bindkey '^X' tell; stty -echo; print rea''dy"
zpty -r shell heard '*ready*'
shift
for typed in "$@"; do
    zpty -w -n shell "$typed"$'\t\x18'
    zpty -r shell heard '*<*>*'
    print -r -- "${${heard##*<}%%>*}"
done
