"""The same networks in other libraries, with our weights. Only files of this room import those libraries."""
