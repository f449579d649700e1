# Completion of vhost-sim for fish.
function __vhost_sim_completion
    _VHOST_SIM_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline -cp) \
        vhost-sim 2>/dev/null
end

complete --command vhost-sim --no-files --condition '__vhost_sim_completion is-args' \
    --arguments '(__vhost_sim_completion get-args)'
