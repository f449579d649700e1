# Completion of vhost-sim for bash 4.4 or later.
_vhost_sim_completion() {
    local line=${COMP_LINE:0:COMP_POINT} before='' word value meaning
    word=${line##*[[:space:]]}
    # Where = parts words, readline replaces only what stands behind the last one.
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && before=${word%"${word##*=}"}
    COMPREPLY=()
    while IFS=$'\t' read -r value meaning; do
        [[ -n $value ]] && COMPREPLY+=("${value#"$before"}")
    done < <(_VHOST_SIM_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS=$line "$1" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]]; then
        compopt -o nospace
    fi
}

complete -o default -F _vhost_sim_completion vhost-sim
