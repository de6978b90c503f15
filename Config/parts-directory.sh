# Sourced by the other scripts: `parts`, the directory the parts are unpacked into, as `kelter` itself finds it.
if [[ -n ${KELTER_PARTS:-} ]]; then
    parts=$KELTER_PARTS
elif ((EUID == 0)); then
    parts=/var/lib/kelter/parts
else
    parts=${XDG_DATA_HOME:-$HOME/.local/share}/kelter/parts
fi
