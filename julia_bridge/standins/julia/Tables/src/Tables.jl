"The functions of the Tables interface by name; tables do not pass through the bridge."
module Tables

function istable end
function columnaccess end
function columns end
function rows end
function columnnames end
function getcolumn end

end
